// SPDX-License-Identifier: Apache-2.0
#include "engine/channel_engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"

namespace mlos::engine {
namespace {

// The host answers late requests itself; the core does so only for a host that
// cannot, and gives it this long to be first.
constexpr uint64_t kGraceNanos = 100 * kNanosPerMilli;
constexpr auto kSweepPeriod = std::chrono::milliseconds(50);

// For the load of one model; fewer than may be in flight to it when it is there.
constexpr size_t kMostWaiting = 512;

constexpr size_t kLeastToPrune = 64;
// Requests that are named in the log when their host has died.
constexpr size_t kMostNamed = 20;

constexpr std::string_view kLate = "the deadline passed before the model answered";

// Of a model that takes no requests; docs/changes.md has the same words.
std::string_view WhyNot(ModelState state) {
  switch (state) {
    case ModelState::kDraining:
      return "is being unloaded";
    case ModelState::kFailed:
      return "has failed";
    default:
      return "is unloaded";
  }
}

// Of the channel, where requests to a model are counted.
uint32_t LaneOf(const ModelRoute& route) { return route.handle & 0xffff; }

Status DiedOfIt(const ModelRoute& route, uint64_t refuse_ns) {
  return Internal(fmt::format(
      "the plugin host of model \"{}\" died of this request, more than once: requests with these "
      "inputs are refused for {} s from then on",
      route.name, refuse_ns / kNanosPerSecond));
}

// For what happens seldom: looks at all of them.  Null: it is not there any more.
const ModelRoute* RouteTo(const RoutingTable& table, uint64_t host, uint32_t handle) {
  for (const auto& [name, model] : table.models) {
    for (const RoutePin& route : model->versions) {
      if (route->lease != nullptr && route->host == host && route->handle == handle) {
        return route.get();
      }
    }
  }
  return nullptr;
}

// Each host counts its handles from the start.
uint64_t QuarantineNumber(uint64_t host, uint32_t handle) { return host << 32 | handle; }

Status TooMany(const ModelRoute& route) {
  return Unavailable(
      fmt::format("too many requests for model \"{}\" are in flight: try again later", route.name));
}

}  // namespace

ChannelEngine::ChannelEngine(EventLoop& loop, EventLoop& control, channel::Options channel_options,
                             Loader loader, uint64_t quarantine_ns)
    : loop_(loop),
      control_(control),
      channel_options_(channel_options),
      loader_(std::move(loader)),
      table_(std::make_shared<RoutingTable>()),
      prune_at_(kLeastToPrune),
      quarantine_(quarantine_ns),
      sweep_(loop.io()) {
  loop_.AddPoller(this);
}

ChannelEngine::~ChannelEngine() {
  loop_.RemovePoller(this);
  for (auto& [host, lane] : lanes_) lane->Close();
}

StatusOr<std::shared_ptr<HostLane>> ChannelEngine::OpenLane(uint64_t host) {
  MLOS_ASSIGN_OR_RETURN(auto producer, channel::Producer::Create(channel_options_));
  auto lane = std::make_shared<HostLane>(loop_, control_, std::move(producer));
  loop_.Post([this, host, lane] {
    lanes_.emplace(host, lane);
    lane->Open(this);
  });
  return lane;
}

void ChannelEngine::CloseLane(uint64_t host) {
  loop_.Post([this, host] {
    const auto it = lanes_.find(host);
    if (it == lanes_.end()) return;
    it->second->Close();
    lanes_.erase(it);
  });
}

void ChannelEngine::Publish(std::shared_ptr<const RoutingTable> table) {
  // Not in the closure: what waits in the queue of a loop that has stopped dies with the
  // loop, and a table's leases must not.
  bool told = false;
  {
    MutexLock lock(published_mutex_);
    told = published_ != nullptr;
    published_.swap(table);
  }
  if (told) return;  // what it finds is the newest
  loop_.Post([this] {
    std::shared_ptr<const RoutingTable> next;
    {
      MutexLock lock(published_mutex_);
      next.swap(published_);
    }
    table_ = std::move(next);  // the last of a table takes its time
    if (book_.size() >= prune_at_) PruneBook();
  });
}

// ------------------------------------------------------------------- counting

void ChannelEngine::Count(Call& call, const ModelRoute& route) {
  call.counters = book_.Of(route.id, route.name, route.version);
  call.counters->Begin();
  call.counted_ = true;
}

void ChannelEngine::Uncount(Call& call) {
  if (std::exchange(call.counted_, false)) call.counters->End();
}

// Of the failures it is not known which had run: the first of them.
void ChannelEngine::CountServed(const RoutePin& route, const hostlink::Served& served) {
  loop_.Post([this, route, served] {
    metrics::ModelCounters* const counters = book_.Of(route->id, route->name, route->version);
    uint64_t ran = served.executions;
    for (size_t code = 0; code < served.answers.size(); ++code) {
      metrics::AnsweredApart apart;
      apart.code = static_cast<StatusCode>(code);
      apart.count = served.answers[code];
      apart.executions = std::min(ran, apart.count);
      ran -= apart.executions;
      const double share = served.executions == 0 ? 0
                                                  : static_cast<double>(apart.executions) /
                                                        static_cast<double>(served.executions);
      apart.queue_ns = static_cast<uint64_t>(share * static_cast<double>(served.queue_ns));
      apart.run_ns = static_cast<uint64_t>(share * static_cast<double>(served.run_ns));
      if (apart.code == StatusCode::kOk) apart.inferences = served.inferences;
      apart.now_ns = NowNanos();
      counters->Count(apart);
    }
    if (book_.size() > prune_at_) PruneBook();
  });
}

// When the book has doubled since the last time: cheap on the whole, and what
// is gone never outweighs what is there.
void ChannelEngine::PruneBook() {
  book_.Prune([this](const metrics::ModelCounters& c) {
    const RoutePin route = table_->Find(c.model(), c.version());
    return route != nullptr && route->id == c.id();
  });
  prune_at_ = std::max(kLeastToPrune, 2 * book_.size());
}

void ChannelEngine::Measure(std::function<void(LaneUsage)> done) {
  loop_.Post([this, done = std::move(done)] {
    LaneUsage usage;
    usage.reserve(lanes_.size());
    for (const auto& [host, lane] : lanes_) usage.emplace_back(host, lane->usage());
    done(std::move(usage));
  });
}

// -------------------------------------------------------------------- resolve

Status ChannelEngine::Admits(std::string_view model, std::string_view version) const {
  const RoutePin route = table_->Find(model, version);
  if (route == nullptr || route->state != ModelState::kReady) return OkStatus();
  const auto lane = lanes_.find(route->host);
  if (lane == lanes_.end()) return OkStatus();
  return lane->second->producer().Full(LaneOf(*route)) ? TooMany(*route) : OkStatus();
}

bool ChannelEngine::Resolve(Call& call, std::string_view model, std::string_view version) {
  call.status = OkStatus();
  call.submitted_ns = 0;
  call.times = {};
  call.counters = nullptr;
  const RoutePin route = table_->Find(model, version);
  if (route == nullptr) {
    call.status =
        table_->models.find(model) == table_->models.end()
            ? NotFound(fmt::format("there is no model {}", Quoted(model)))
            : NotFound(fmt::format("model \"{}\" has no version {}", model, Quoted(version)));
    return true;
  }
  Count(call, *route);
  if (route->state == ModelState::kReady) return Pin(call, route);
  const bool loadable = route->state == ModelState::kLoading ||
                        (route->state == ModelState::kRegistered && route->on_demand);
  if (!loadable) {
    const bool gone = route->state == ModelState::kUnloaded || route->state == ModelState::kFailed;
    call.status = Unavailable(fmt::format(
        "model \"{}\"{}{} {}{}{}{}", route->name, route->version.empty() ? "" : " version ",
        route->version, WhyNot(route->state), route->reason.empty() ? "" : ": ", route->reason,
        gone && route->load_helps ? "; load it to have it serve again" : ""));
    return true;
  }
  return WaitForLoad(call, *route, model, version);
}

// A model that takes long to load must not gather all connections there are.
bool ChannelEngine::WaitForLoad(Call& call, const ModelRoute& route, std::string_view model,
                                std::string_view version) {
  const auto [it, first] = resolving_.try_emplace(route.id);
  if (it->second.size() >= kMostWaiting) {
    call.status = Unavailable(fmt::format(
        "{} requests wait for model \"{}\" version {} to be loaded already: try again later",
        kMostWaiting, route.name, route.version));
    return true;
  }
  call.stage_ = Call::Stage::kResolving;
  call.loading_ = route.id;
  it->second.push_back({&call, std::string(model), std::string(version)});
  ArmSweep();
  if (!first) return false;
  loader_(route.name, route.version, [this, id = route.id](const Status& status) {
    loop_.Post([this, id, status] { OnLoaded(id, status); });
  });
  return false;
}

void ChannelEngine::StopWaiting(Call& call) {
  const auto is_it = [&](const Resolving& r) { return r.call == &call; };
  // Where nobody is left the place stays until the loader has answered: it is
  // not asked again meanwhile.
  if (const auto it = resolving_.find(call.loading_); it != resolving_.end()) {
    std::erase_if(it->second, is_it);
  }
  std::erase_if(loaded_, is_it);
}

bool ChannelEngine::Pin(Call& call, const RoutePin& route) {
  const auto lane = lanes_.find(route->host);
  if (lane == lanes_.end()) {
    call.status = Unavailable(fmt::format("model \"{}\" is being unloaded", route->name));
  } else {
    call.route = route;
    call.host_ = lane->second;
  }
  return true;
}

void ChannelEngine::OnLoaded(uint64_t id, const Status& status) {
  const auto it = resolving_.find(id);
  if (it == resolving_.end()) return;
  loaded_ = std::move(it->second);
  resolving_.erase(it);
  while (!loaded_.empty()) {  // what one does may end others
    const Resolving waiting = std::move(loaded_.front());
    loaded_.pop_front();
    Call& call = *waiting.call;
    call.stage_ = Call::Stage::kIdle;
    if (!status.ok()) {
      call.status = Unavailable(Message(status));
    } else {
      const RoutePin route = table_->Find(waiting.model, waiting.version);
      if (route != nullptr && route->state == ModelState::kReady) {
        Pin(call, route);
      } else {
        call.status = Unavailable(fmt::format("model \"{}\" was unloaded again", waiting.model));
      }
    }
    call.OnProgress();
  }
}

// ------------------------------------------------------------------- allocate

bool ChannelEngine::Allocate(Call& call, tensor::RequestPlan* plan) {
  call.status = OkStatus();
  call.plan_ = plan;
  call.wanted_.assign(plan->outputs.begin(), plan->outputs.end());
  if (!tensor::LayOutRequest(plan, &call.plan_bytes_)) {
    call.status = ResourceExhausted("the request is larger than a channel can be");
    return true;
  }
  call.stage_ = Call::Stage::kAllocating;
  if (TryAllocate(call)) return true;
  call.host_->waiters().push_back(&call);
  ArmSweep();
  return false;
}

// True: done, with memory or with an error.  False: memory is on its way.
bool ChannelEngine::TryAllocate(Call& call) {
  HostLane& lane = *call.host_;
  const auto finish = [&](Status status) {
    call.status = std::move(status);
    call.stage_ = Call::Stage::kIdle;
    return true;
  };
  if (!lane.failure().ok()) return finish(lane.failure());
  switch (lane.producer().Begin(LaneOf(*call.route), call.plan_bytes_, &call.slot)) {
    case channel::BeginResult::kOk:
      tensor::WriteRequest(*call.plan_, call.slot.block.segment, call.slot.block.offset,
                           call.slot.memory);
      call.stage_ = Call::Stage::kFilling;
      return true;
    case channel::BeginResult::kNoCredit:
    case channel::BeginResult::kNoEntry:
      return finish(TooMany(*call.route));
    case channel::BeginResult::kNoSpace:
      break;
  }
  const Status grown = lane.Grow(call.plan_bytes_);
  if (grown.ok()) return false;
  return finish(Unavailable(fmt::format(
      "the requests in flight to this plugin take all the memory they may ({}): try again later, "
      "or send less at once",
      Message(grown))));
}

void ChannelEngine::OnSpace(HostLane& lane) {
  retried_.swap(lane.waiters());
  for (size_t i = 0; i < retried_.size(); ++i) {  // what one does may end others
    Call* call = std::exchange(retried_[i], nullptr);
    if (call == nullptr) continue;
    if (TryAllocate(*call)) {
      call->OnProgress();
    } else {
      lane.waiters().push_back(call);
    }
  }
  retried_.clear();
}

// What the host had not answered, its successor runs.  An entry carries no
// room for a name, so the names of these requests are told here, beside the
// host's exit report.
void ChannelEngine::OnConsumerLost(HostLane& lane) {
  std::string names;
  size_t count = 0;
  const ModelRoute* route = nullptr;
  for (const Call* call : lane.calls()) {
    if (call == nullptr) continue;
    route = call->route.get();
    if (++count > kMostNamed || call->request_id.empty()) continue;
    if (!names.empty()) names += ' ';
    names += call->request_id;
  }
  if (count == 0) return;
  Log(LogLevel::kWarning,
      {{"plugin", route->plugin}, {"version", route->plugin_version}, {"request_ids", names}},
      "the plugin host that ended had {} request{}", count, count == 1 ? "" : "s");
}

void ChannelEngine::OnStrike(HostLane& lane, uint32_t entry) {
  const auto host = std::find_if(lanes_.begin(), lanes_.end(),
                                 [&](const auto& l) { return l.second.get() == &lane; });
  if (host == lanes_.end()) return;
  const channel::Submission& of = lane.producer().SubmissionOf(entry);
  const bool refused =
      quarantine_.Strike(lane.producer().RequestOf(entry), QuarantineNumber(host->first, of.model),
                         of.principal, NowNanos());
  const Call* const call = lane.calls()[entry];  // null: nobody waits for it any more
  const ModelRoute* const route = RouteTo(*table_, host->first, of.model);
  if (route != nullptr) book_.Of(route->id, route->name, route->version)->blamed.Add();
  const std::string then = refused ? fmt::format(": its like is refused for {} s",
                                                 quarantine_.refuse_ns() / kNanosPerSecond)
                                   : ", which is tried once more";
  Log(LogLevel::kWarning, {{"request_id", call == nullptr ? std::string_view() : call->request_id}},
      "a plugin host died of a request of principal {} to {}{}", of.principal,
      route == nullptr ? "a model that is gone" : "model " + Quoted(route->name), then);
}

// --------------------------------------------------------------------- submit

bool ChannelEngine::Submit(Call& call) {
  HostLane& lane = *call.host_;
  if (!lane.failure().ok()) {  // nobody is there any more to answer it
    lane.producer().Abandon(call.slot);
    call.stage_ = Call::Stage::kIdle;
    call.status = lane.failure();
    return true;
  }
  if (!quarantine_.empty() &&
      quarantine_.Holds(call.slot, QuarantineNumber(call.route->host, call.route->handle),
                        call.principal, NowNanos())) {
    lane.producer().Abandon(call.slot);
    call.stage_ = Call::Stage::kIdle;
    call.status = DiedOfIt(*call.route, quarantine_.refuse_ns());
    call.counters->quarantined.Add();
    return true;
  }
  channel::Submission submission;
  submission.model = call.route->handle;
  submission.principal = call.principal;
  submission.deadline_ns = call.deadline_ns;
  submission.flags = call.route->info->replay_safe ? 0 : channel::kReplayNever;
  call.submitted_ns = NowNanos();
  lane.calls()[call.slot.entry] = &call;
  call.stage_ = Call::Stage::kRunning;
  ++running_;
  lane.producer().Submit(call.slot, submission);
  ArmSweep();
  return false;
}

void ChannelEngine::OnCompletion(HostLane& lane, const channel::Completion& completion) {
  Call* call = lane.calls()[completion.entry];
  lane.calls()[completion.entry] = nullptr;
  if (call == nullptr) {
    lane.producer().Release(completion.entry);
    return;
  }
  --running_;
  call->stage_ = Call::Stage::kAnswered;
  call->times = completion.times;
  call->outputs.clear();
  DecodeAnswer(lane, *call, completion);
  call->OnProgress();
}

void ChannelEngine::DecodeAnswer(HostLane& lane, Call& call,
                                 const channel::Completion& completion) {
  if (completion.struck) {
    call.status = DiedOfIt(*call.route, quarantine_.refuse_ns());
    return;
  }
  if (completion.lost) {
    call.status = !lane.failure().ok()
                      ? lane.failure()
                      : Unavailable(fmt::format(
                            "the plugin host died while running this request, and model \"{}\" is "
                            "not one whose requests may be run twice",
                            call.route->name));
    return;
  }
  const auto block = lane.producer().ResponseMemory(completion.entry, completion.response);
  Status status = block.ok() ? tensor::ReadResponse(*block, &view_) : block.status();
  if (status.ok() && view_.code != StatusCode::kOk) {
    // The plugin's words.  Clients take an error without any for success.
    call.status = MakeStatus(view_.code, view_.text.empty() ? "the model failed and did not say why"
                                                            : EscapeForLog(view_.text));
    return;
  }
  if (status.ok()) status = CheckOutputs(lane, call);
  if (!status.ok()) {
    call.outputs.clear();
    status = Internal(
        fmt::format("the plugin host of model \"{}\" gave an answer that makes no sense: {}",
                    call.route->name, Message(status)));
  }
  call.status = std::move(status);
}

// The host is not trusted: what it answers must be what was asked for.
Status ChannelEngine::CheckOutputs(HostLane& lane, Call& call) {
  const auto& declared = call.route->info->outputs;
  const bool all = call.wanted_.empty();
  const size_t expected = all ? declared.size() : call.wanted_.size();
  if (view_.outputs.size() != expected) {
    return Internal(fmt::format("{} outputs instead of {}", view_.outputs.size(), expected));
  }
  for (size_t i = 0; i < expected; ++i) {
    const tensor::TensorDesc& desc = view_.outputs[i];
    const uint32_t index = all ? static_cast<uint32_t>(i) : call.wanted_[i];
    if (desc.index != index ||
        static_cast<tensor::Datatype>(desc.datatype) != declared[index].datatype ||
        !tensor::Matches(declared[index].shape, desc.shape())) {
      return Internal(fmt::format("output \"{}\" has another datatype or shape than declared",
                                  declared[index].name));
    }
    const auto data =
        lane.producer().ResponseMemory(call.slot.entry, {desc.segment, 0, desc.offset, desc.bytes});
    if (!data.ok()) return data.status();
    call.outputs.push_back({desc, *data});
  }
  return OkStatus();
}

// --------------------------------------------------------------------- finish

void ChannelEngine::Finish(Call& call) {
  Uncount(call);
  std::replace(retried_.begin(), retried_.end(), &call, static_cast<Call*>(nullptr));
  std::replace(late_.begin(), late_.end(), &call, static_cast<Call*>(nullptr));
  switch (call.stage_) {
    case Call::Stage::kIdle:
      break;
    case Call::Stage::kResolving:
      StopWaiting(call);
      break;
    case Call::Stage::kAllocating:
      std::erase(call.host_->waiters(), &call);
      break;
    case Call::Stage::kFilling:
      call.host_->producer().Abandon(call.slot);
      break;
    case Call::Stage::kRunning:
      --running_;
      call.host_->calls()[call.slot.entry] = nullptr;
      call.host_->producer().Cancel(call.slot.entry);
      break;
    case Call::Stage::kAnswered:
      call.outputs.clear();
      call.host_->producer().Release(call.slot.entry);
      break;
  }
  call.stage_ = Call::Stage::kIdle;
  call.host_.reset();
  call.route.reset();
  call.plan_ = nullptr;
}

// ------------------------------------------------------------------- deadlines

void ChannelEngine::ArmSweep() {
  if (sweep_armed_) return;
  sweep_armed_ = true;
  sweep_.expires_after(kSweepPeriod);
  sweep_.async_wait([this](const boost::system::error_code& error) {
    sweep_armed_ = false;
    if (!error) Sweep();
  });
}

void ChannelEngine::Expire(Call& call) {
  Finish(call);
  call.status = DeadlineExceeded(kLate);
  call.OnProgress();
}

void ChannelEngine::Sweep() {
  const uint64_t now = NowNanos();
  bool pending = false;
  for (const auto& [id, waiting] : resolving_) {
    pending |= !waiting.empty();
    for (const Resolving& r : waiting) {
      if (now > r.call->deadline_ns) late_.push_back(r.call);
    }
  }
  for (const auto& [host, lane] : lanes_) {
    for (Call* call : lane->waiters()) {
      pending = true;
      if (now > call->deadline_ns) late_.push_back(call);
    }
    for (Call* call : lane->calls()) {
      if (call == nullptr) continue;
      pending = true;
      if (now > call->deadline_ns + kGraceNanos) late_.push_back(call);
    }
  }
  for (size_t i = 0; i < late_.size(); ++i) {  // what one does may end others
    if (late_[i] != nullptr) Expire(*late_[i]);
  }
  late_.clear();
  if (pending) ArmSweep();
}

// --------------------------------------------------------------------- polling

size_t ChannelEngine::Work() {
  size_t done = 0;
  for (const auto& [host, lane] : lanes_) done += lane->Poll();
  return done;
}

bool ChannelEngine::HasWork() const {
  for (const auto& [host, lane] : lanes_) {
    if (lane->producer().HasCompletions()) return true;
  }
  return false;
}

bool ChannelEngine::PrepareSleep() {
  bool quiet = true;
  for (const auto& [host, lane] : lanes_) {
    quiet &= lane->producer().PrepareSleep(channel::Sleep::kEventFd);
  }
  return quiet;
}

void ChannelEngine::FinishSleep() {
  for (const auto& [host, lane] : lanes_) lane->producer().FinishSleep();
}

}  // namespace mlos::engine
