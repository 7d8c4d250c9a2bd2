// SPDX-License-Identifier: Apache-2.0
#include "backend/plugin_host.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <csignal>

#include "base/clock.h"
#include "base/log.h"
#include "base/process_memory.h"

namespace mlos::backend {
namespace {

constexpr uint32_t kLoggedLinesPerSecond = 50;
// A host that lived this long had started well: its death counts afresh.
constexpr uint64_t kStableNanos = 10 * kNanosPerSecond;
constexpr uint32_t kMaxQuickDeaths = 6;
// Less is not worth a new process, whatever share it is.
constexpr uint64_t kToleratedResidue = 8 << 20;

std::vector<OwnedFd> Duplicate(const std::vector<OwnedFd>& fds) {
  std::vector<OwnedFd> out;
  out.reserve(fds.size());
  for (const OwnedFd& fd : fds) out.emplace_back(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  return out;
}

// The first restart is at once; then 100 ms, doubled, at most 5 s.
std::chrono::milliseconds BackOff(uint32_t quick_deaths) {
  if (quick_deaths <= 1) return std::chrono::milliseconds(0);
  return std::chrono::milliseconds(std::min(5000u, 100u << std::min(quick_deaths - 2, 10u)));
}

}  // namespace

std::string_view HostStateName(HostState state) {
  switch (state) {
    case HostState::kStarting:
    case HostState::kRestarting:
      return "loading";
    case HostState::kReady:
      return "ready";
    case HostState::kStopping:
      return "draining";
    case HostState::kStopped:
      return "unloaded";
    case HostState::kFailed:
      return "failed";
  }
  return "failed";
}

PluginHost::PluginHost(EventLoop& loop, HostSpec spec,
                       std::vector<std::shared_ptr<ChannelPort>> ports, Events events)
    : loop_(loop),
      spec_(std::move(spec)),
      ports_(std::move(ports)),
      events_(std::move(events)),
      timer_(loop.io()) {
  if (spec_.watch != nullptr) {
    output_ = spec_.watch->logs.Of(spec_.start.name, spec_.start.version);
  }
}

std::string PluginHost::Label() const {
  return fmt::format("plugin {} {}", spec_.start.name, spec_.start.version);
}

// ------------------------------------------------------------------- starting
// Launch -> hello -> start -> attach every channel -> load every model -> serve

void PluginHost::Start(std::function<void(Status)> done) {
  started_ = std::move(done);
  state_ = HostState::kStarting;
  for (size_t i = 0; i < ports_.size(); ++i) {
    ports_[i]->send_request_segment = [weak = weak_from_this(), i](channel::SegmentGrant segment) {
      if (const auto self = weak.lock()) self->SendSegment(i, std::move(segment));
    };
  }
  Launch();
}

void PluginHost::SendSegment(size_t port, channel::SegmentGrant segment) {
  if (state_ != HostState::kReady) {  // on its way up: it may have its grant already
    late_segments_.emplace_back(port, std::move(segment));
    return;
  }
  const uint32_t id = segment.id;
  process_->Request(
      hostlink::EncodeAddSegment(static_cast<uint32_t>(port), false, std::move(segment)),
      spec_.start_limit_ms,
      [weak = weak_from_this(), port, id](const StatusOr<boost::json::object>& reply) {
        const auto self = weak.lock();
        if (self != nullptr && reply.ok()) self->ports_[port]->ActivateRequestSegment(id);
      });
}

void PluginHost::Launch() {
  HostProcess::Events events;
  events.on_message = [weak = weak_from_this()](const hostlink::Frame& frame) {
    if (const auto self = weak.lock()) self->OnMessage(frame);
  };
  events.on_output = [weak = weak_from_this()](std::string_view line) {
    if (const auto self = weak.lock()) self->OnOutput(line);
  };
  events.on_exit = [weak = weak_from_this()](const sandbox::ExitReport& report,
                                             const std::string& how) {
    if (const auto self = weak.lock()) self->OnExit(report, how);
  };
  started_ns_ = NowNanos();
  hung_ = may_claim_ = false;
  unloaded_bytes_ = residue_bytes_ = 0;
  StatusOr<std::shared_ptr<HostProcess>> process =
      HostProcess::Launch(loop_, spec_.program, Label(), std::move(events));
  if (!process.ok()) {
    GiveUp(Annotate(process.status(), Label()));
    return;
  }
  process_ = *std::move(process);
}

void PluginHost::OnMessage(const hostlink::Frame& frame) {
  switch (frame.type) {
    case hostlink::kHello:
      OnHello(frame);
      break;
    case hostlink::kNeedSegment:
      OnNeedSegment(frame);
      break;
    case hostlink::kHeartbeat:
      OnHeartbeat(frame);
      break;
    case hostlink::kServed:
      OnServed(frame);
      break;
    case hostlink::kDetached: {
      const StatusOr<uint32_t> channel = hostlink::DecodeChannel(frame);
      if (!channel.ok()) return process_->Kill("it let go of a channel in a form unknown here");
      OnDetached(*channel);
      break;
    }
    default:
      process_->Kill("it sent a message that this core does not know");
  }
}

void PluginHost::OnHello(const hostlink::Frame& frame) {
  const Status status = hostlink::CheckHello(frame);
  if (!status.ok()) {
    StartFailed(status);
    return;
  }
  Step(hostlink::EncodeStart(spec_.start), spec_.start_limit_ms,
       [](PluginHost& self, const boost::json::object& reply) {
         if (const auto* p = reply.if_contains("properties"); p && p->is_object()) {
           self.properties_ = p->get_object();
         }
         self.AttachNext(0);
       });
}

// False from the moment on that it is told to stop: what the process still
// answers then must not make it ready.
bool PluginHost::ComingUp() const {
  return state_ == HostState::kStarting || state_ == HostState::kRestarting;
}

// One request of the way up, and what follows when it was granted.
void PluginHost::Step(hostlink::Frame frame, uint64_t limit_ms, Next next) {
  if (!ComingUp()) return;
  process_->Request(std::move(frame), limit_ms,
                    [weak = weak_from_this(),
                     next = std::move(next)](const StatusOr<boost::json::object>& reply) {
                      const auto self = weak.lock();
                      if (self == nullptr || !self->ComingUp()) return;
                      if (!reply.ok()) {
                        self->StartFailed(reply.status());
                      } else {
                        next(*self, *reply);
                      }
                    });
}

void PluginHost::AttachNext(size_t port) {
  if (port == 0) late_segments_.clear();  // the grants below carry them
  if (port == ports_.size()) {
    LoadNext(models_.begin());
    return;
  }
  ports_[port]->BeginEpoch(ending_, [weak = weak_from_this(),
                                     process = std::weak_ptr<HostProcess>(process_),
                                     port](StatusOr<channel::ConsumerGrant> grant) {
    const auto self = weak.lock();
    // Meanwhile it may have died: the grant is not its successor's.
    if (self == nullptr || process.expired() || process.lock() != self->process_) return;
    if (!grant.ok()) {
      self->StartFailed(grant.status());
      return;
    }
    self->Step(hostlink::EncodeAttach(static_cast<uint32_t>(port), *std::move(grant)),
               self->spec_.start_limit_ms,
               [port](PluginHost& host, const boost::json::object&) { host.AttachNext(port + 1); });
  });
}

void PluginHost::LoadNext(std::map<uint32_t, ModelFiles>::iterator model) {
  if (model == models_.end()) {
    Serve();
    return;
  }
  const uint32_t handle = model->first;
  process_->Request(hostlink::EncodeLoadModel(model->second.load, Duplicate(model->second.fds)),
                    spec_.load_limit_ms,
                    [weak = weak_from_this(), process = std::weak_ptr<HostProcess>(process_),
                     handle](const StatusOr<boost::json::object>& reply) {
                      const auto self = weak.lock();
                      const auto host = process.lock();
                      if (self == nullptr || host == nullptr || host->ended()) return;
                      if (host == self->process_ && self->ComingUp()) {
                        self->OnReloaded(handle, reply);
                      }
                    });
}

// One model that does not come back must not keep the others from it.
void PluginHost::OnReloaded(uint32_t handle, const StatusOr<boost::json::object>& reply) {
  if (reply.ok()) {
    NoteLoaded(handle, *reply);
  } else {
    models_.erase(handle);
    taken_.erase(handle);
    events_.on_model_lost(handle, reply.status());
  }
  LoadNext(models_.upper_bound(handle));
}

void PluginHost::Serve() {
  may_claim_ = true;
  Step(hostlink::Frame{hostlink::kServe, 0, "{}", {}}, spec_.start_limit_ms,
       [](PluginHost& self, const boost::json::object&) {
         self.state_ = HostState::kReady;
         if (self.restarts_ > 0) {
           Log(LogLevel::kInfo, "{}: a new host serves, with {} model{}", self.Label(),
               self.models_.size(), self.models_.size() == 1 ? "" : "s");
         }
         if (self.spec_.watch != nullptr) {
           self.spec_.watch->loads.plugin_ok.Record(NowNanos() - self.started_ns_);
         }
         for (auto& [port, segment] : std::exchange(self.late_segments_, {})) {
           self.SendSegment(port, std::move(segment));
         }
         self.AttachApplications();
         if (self.started_) std::exchange(self.started_, nullptr)(OkStatus());
         self.RunDeferred();
       });
}

// Something on the way to serving went wrong.  If the process died of it,
// OnExit deals with that; otherwise it is made to.
void PluginHost::StartFailed(const Status& status) {
  if (start_status_.ok()) start_status_ = status;
  if (process_ != nullptr) process_->Kill(std::string(Message(status)));
}

// --------------------------------------------------------------------- models

void PluginHost::RunDeferred() {
  for (const auto& task : std::exchange(deferred_, {})) task();
  LoadWaiting();
}

void PluginHost::LoadModel(ModelFiles files, std::function<void(StatusOr<ModelInfo>)> done) {
  waiting_.emplace_back(std::make_shared<ModelFiles>(std::move(files)), std::move(done));
  LoadWaiting();
}

// One at a time: a host takes them so, and what waits there would spend its time.
void PluginHost::LoadWaiting() {
  const auto self = shared_from_this();
  while (!waiting_.empty() && !loading_) {
    // The next one serves them, or it is given up and they hear of it.
    if (state_ == HostState::kRestarting) return;
    if (state_ == HostState::kReady && process_->ended()) return;  // OnExit follows
    auto [files, done] = std::move(waiting_.front());
    waiting_.pop_front();
    if (state_ == HostState::kReady) {
      SendLoad(files, TimeLoad(std::move(done)));
    } else {
      done(Unavailable(fmt::format("{} is {}", Label(), HostStateName(state_))));
    }
  }
}

void PluginHost::SendLoad(const std::shared_ptr<ModelFiles>& kept, ModelLoaded done) {
  loading_ = true;
  process_->Request(hostlink::EncodeLoadModel(kept->load, Duplicate(kept->fds)),
                    spec_.load_limit_ms,
                    [weak = weak_from_this(), kept,
                     done = std::move(done)](const StatusOr<boost::json::object>& reply) {
                      const auto self = weak.lock();
                      if (self == nullptr) return;
                      self->loading_ = false;
                      if (!reply.ok()) {
                        done(reply.status());
                        self->LoadWaiting();
                        return;
                      }
                      StatusOr<ModelInfo> info = hostlink::DecodeModelInfo(*reply);
                      if (info.ok()) {
                        const uint32_t handle = kept->load.handle;
                        self->models_.emplace(handle, std::move(*kept));
                        self->NoteLoaded(handle, *reply);
                      } else {
                        // Nobody will use what cannot be described.
                        self->process_->Request(hostlink::EncodeUnloadModel(kept->load.handle),
                                                self->spec_.load_limit_ms,
                                                [](const StatusOr<boost::json::object>&) {});
                      }
                      done(std::move(info));
                      self->LoadWaiting();
                    });
}

PluginHost::ModelLoaded PluginHost::TimeLoad(ModelLoaded done) const {
  if (spec_.watch == nullptr) return done;
  return
      [watch = spec_.watch, began = NowNanos(), done = std::move(done)](StatusOr<ModelInfo> info) {
        (info.ok() ? watch->loads.model_ok : watch->loads.model_failed).Record(NowNanos() - began);
        done(std::move(info));
      };
}

void PluginHost::UnloadModel(uint32_t handle, std::function<void(Status)> done) {
  if (state_ == HostState::kRestarting) {
    deferred_.emplace_back([this, handle, done = std::move(done)] { UnloadModel(handle, done); });
    return;
  }
  models_.erase(handle);
  if (state_ != HostState::kReady) {
    done(OkStatus());  // it is gone, or about to be, with its host
    return;
  }
  process_->Request(
      hostlink::EncodeUnloadModel(handle), spec_.load_limit_ms,
      [weak = weak_from_this(), handle, done](const StatusOr<boost::json::object>& reply) {
        const auto self = weak.lock();
        if (self != nullptr && reply.ok()) self->NoteUnloaded(handle, *reply);
        // A host that died has unloaded it as well.
        done(reply.ok() || reply.status().code() == StatusCode::kUnavailable ? OkStatus()
                                                                             : reply.status());
      });
}

StatusOr<ModelFiles> PluginHost::CopyModel(uint32_t handle) const {
  const auto it = models_.find(handle);
  if (it == models_.end()) return Unavailable(Label() + " has lost the model");
  return ModelFiles{it->second.load, Duplicate(it->second.fds)};
}

// What the host measures is a word of an untrusted process: the worst that a
// false one brings is a restart of that process.
void PluginHost::NoteLoaded(uint32_t handle, const boost::json::object& reply) {
  taken_[handle] = hostlink::MemoryIn(reply, "taken_bytes");
}

void PluginHost::NoteUnloaded(uint32_t handle, const boost::json::object& reply) {
  const auto taken = taken_.find(handle);
  if (taken == taken_.end()) return;
  const uint64_t released = hostlink::MemoryIn(reply, "released_bytes");
  unloaded_bytes_ += taken->second;
  residue_bytes_ += taken->second - std::min(taken->second, released);
  taken_.erase(taken);
}

bool PluginHost::KeepsMemory() const {
  return residue_bytes_ > std::max(unloaded_bytes_ / 10, kToleratedResidue);
}

// --------------------------------------------------------------------- ending

void PluginHost::Stop(std::function<void()> done) {
  stopped_.push_back(std::move(done));
  if (state_ == HostState::kStopping) return;
  if (process_ == nullptr) {
    Stopped();
    return;
  }
  state_ = HostState::kStopping;
  process_->Send(hostlink::Frame{hostlink::kStop, 0, "{}", {}});
  timer_.expires_after(std::chrono::milliseconds(spec_.stop_limit_ms));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!error && self != nullptr && self->process_ != nullptr) {
      self->process_->Kill("it did not stop in time");
    }
  });
}

void PluginHost::KillNow() {
  if (state_ != HostState::kStopping || process_ == nullptr) return;
  cut_off_ = true;
  process_->Kill("the daemon ends");
}

void PluginHost::Stopped() {
  state_ = HostState::kStopped;
  timer_.cancel();
  const Status status =
      Unavailable(cut_off_ ? "the daemon shut down before the request was answered"
                           : Label() + " was unloaded");
  for (const auto& port : ports_) port->Fail(status);
  FailApplications(status);
  if (started_) std::exchange(started_, nullptr)(status);
  RunDeferred();
  for (const auto& done : std::exchange(stopped_, {})) done();
}

// A signal from inside and an exit are its own; so is what it is stopped for
// while it serves, but for control messages that it does not answer.  The rest
// was sent by somebody: the administrator, the system when memory runs short.
channel::Death PluginHost::DeathOf(const sandbox::ExitReport& report) const {
  if (hung_) return channel::Death::kHung;
  if (process_->killed()) {
    return process_->blame() == HostProcess::Blame::kNobody ? channel::Death::kFromOutside
                                                            : channel::Death::kOfItsOwn;
  }
  if (!report.signalled) return channel::Death::kOfItsOwn;
  switch (report.code) {
    case SIGKILL:
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
    case SIGQUIT:
      return channel::Death::kFromOutside;
    default:
      return channel::Death::kOfItsOwn;
  }
}

void PluginHost::OnExit(const sandbox::ExitReport& report, const std::string& how) {
  // One that never served had claimed nothing: whoever was before it is judged
  // by its own end.
  if (may_claim_) ending_.how = DeathOf(report);
  process_.reset();
  ForgetAttachments();
  if (spec_.watch != nullptr && ComingUp()) {
    spec_.watch->loads.plugin_failed.Record(NowNanos() - started_ns_);
  }
  last_exit_ = how;
  if (state_ == HostState::kStopping) {
    Stopped();
    return;
  }
  Log(LogLevel::kWarning, {{"plugin", spec_.start.name}, {"version", spec_.start.version}},
      "{}: its host {}", Label(), how);
  if (state_ == HostState::kStarting) {
    GiveUp(start_status_.ok() ? Unavailable(fmt::format("{}: its host {}", Label(), how))
                              : start_status_);
    return;
  }
  quick_deaths_ = NowNanos() - started_ns_ > kStableNanos ? 1 : quick_deaths_ + 1;
  if (quick_deaths_ > kMaxQuickDeaths) {
    GiveUp(Unavailable(fmt::format("{}: its host died {} times in a row; the last one {}", Label(),
                                   quick_deaths_, how)));
    return;
  }
  Restart();
}

void PluginHost::Restart() {
  state_ = HostState::kRestarting;
  start_status_ = OkStatus();
  ++restarts_;
  timer_.expires_after(BackOff(quick_deaths_));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!error && self != nullptr && self->state_ == HostState::kRestarting) self->Launch();
  });
}

void PluginHost::GiveUp(const Status& status) {
  state_ = HostState::kFailed;
  for (const auto& port : ports_) port->Fail(Unavailable(Message(status)));
  FailApplications(Unavailable(Message(status)));
  RunDeferred();
  if (started_) {
    std::exchange(started_, nullptr)(status);
  } else {
    Log(LogLevel::kError, "{}", Message(status));
    events_.on_failed(status);
  }
}

// ----------------------------------------------------------------- while it runs

void PluginHost::OnNeedSegment(const hostlink::Frame& frame) {
  const auto payload = hostlink::ParsePayload(frame.payload);
  const boost::json::value* number = payload.ok() ? payload->if_contains("channel") : nullptr;
  const boost::json::value* bytes = payload.ok() ? payload->if_contains("bytes") : nullptr;
  if (number == nullptr || bytes == nullptr || !number->is_int64() || !bytes->is_int64() ||
      number->get_int64() < 0 || number->get_int64() > UINT32_MAX || bytes->get_int64() < 0) {
    process_->Kill("it asked for memory in a form that this core does not know");
    return;
  }
  const auto channel = static_cast<uint32_t>(number->get_int64());
  ChannelPort* const port = PortOf(channel);
  if (port == nullptr) {
    if (channel < ports_.size() || channel >= next_application_) {
      return process_->Kill("it asked for memory of a channel that there never was");
    }
    // Its application has gone meanwhile.
    process_->Send(hostlink::EncodeReply(channel, Unavailable("the channel is closed")));
    return;
  }
  port->AddResponseSegment(
      static_cast<uint64_t>(bytes->get_int64()),
      [weak = weak_from_this(), process = std::weak_ptr<HostProcess>(process_),
       channel](StatusOr<channel::SegmentGrant> grant) {
        const auto self = weak.lock();
        const auto host = process.lock();
        if (self == nullptr || host == nullptr || host != self->process_) return;
        if (grant.ok()) {
          host->Request(hostlink::EncodeAddSegment(channel, true, *std::move(grant)),
                        self->spec_.start_limit_ms, [](const StatusOr<boost::json::object>&) {});
        } else {
          host->Send(hostlink::EncodeReply(channel, grant.status()));
        }
      });
}

void PluginHost::OnHeartbeat(const hostlink::Frame& frame) {
  const auto beat = hostlink::DecodeHeartbeat(frame);
  if (!beat.ok()) {
    process_->Kill("it sent a heartbeat that makes no sense");
  } else if (beat->overdue_ms > spec_.hang_limit_ms) {
    if (std::exchange(hung_, true)) return;
    ending_.late_before_ns = NowNanos() - spec_.hang_limit_ms * kNanosPerMilli;
    process_->Kill(fmt::format("a request ran {} ms past its deadline", beat->overdue_ms));
  }
}

// What a plugin says through SMI begins with its level; what it prints does not.
void PluginHost::OnOutput(std::string_view line) {
  LogLevel level = LogLevel::kInfo;
  std::string_view text = line;
  const size_t colon = line.find(": ");
  if (colon != std::string_view::npos && ParseLogLevel(line.substr(0, colon), &level)) {
    text = line.substr(colon + 2);
  }
  if (output_ != nullptr) output_->Add(WallMillis(), level, EscapeForLog(text));
  const uint64_t second = NowNanos() / kNanosPerSecond;
  if (second != output_second_) {
    output_second_ = second;
    output_lines_ = 0;
  }
  if (++output_lines_ <= kLoggedLinesPerSecond) {
    Log(level, {{"plugin", spec_.start.name}, {"version", spec_.start.version}}, "{}: {}", Label(),
        text);
  } else if (spec_.watch != nullptr) {
    spec_.watch->loads.log_lines_dropped.Add();
  }
}

uint64_t PluginHost::rss_bytes() const {
  return process_ == nullptr ? 0 : ReadProcessMemory(process_->pid()).resident;
}

}  // namespace mlos::backend
