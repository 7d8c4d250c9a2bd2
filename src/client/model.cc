// SPDX-License-Identifier: Apache-2.0
#include "client/model.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "client/call.h"
#include "ipc/message.h"

namespace mlos::client {
namespace {

constexpr int kFirstPauseMillis = 2;
constexpr int kLongestPauseMillis = 100;
constexpr uint64_t kGlanceNanos = kNanosPerMilli;

// May be another in a moment: the daemon is being restarted, the model loaded.
bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kAborted;
}

}  // namespace

StatusOr<std::unique_ptr<Model>> Model::Open(Client& client, std::string name, std::string version,
                                             uint64_t deadline_ns) {
  std::unique_ptr<Model> model(new Model(client, std::move(name), std::move(version)));
  MLOS_ASSIGN_OR_RETURN(model->lane_, Lane::Create([m = model.get()](const auto& completion) {
                          m->OnCompletion(completion);
                        }));
  MLOS_RETURN_IF_ERROR(model->AskOnce(deadline_ns));
  MLOS_RETURN_IF_ERROR(model->Drive(deadline_ns, [&] { return model->lane_->granted(); }));
  return model;
}

Model::~Model() = default;

// Asks the daemon for a link, once.
Status Model::AskOnce(uint64_t deadline_ns) {
  ipc::AskModel ask;
  ask.model = name_;
  ask.version = version_;
  Buffer payload;
  Encode(ask, &payload);
  Socket::Reply reply;
  MLOS_RETURN_IF_ERROR(
      client_.Ask(ipc::Ask::kOpen, payload.view(), ipc::Tell::kChannel, deadline_ns, &reply));
  if (!reply.descriptor) return Internal("the daemon opened a channel without its descriptor");
  ipc::ModelDescription told;
  MLOS_RETURN_IF_ERROR(Decode(reply.payload.view(), &told));
  MLOS_ASSIGN_OR_RETURN(Description description, Description::From(told));
  if (described_ && !description.TakesTheSame(description_)) {
    return FailedPrecondition(
        fmt::format("model \"{}\" is another by now: version {} takes or gives other tensors than "
                    "version {} did: close it and open it again",
                    name_, description.version, description_.version));
  }
  if (described_) {
    // Pointers into the rest were handed out.
    description_.version = std::move(description.version);
  } else {
    description_ = std::move(description);
    described_ = true;
  }
  lane_->Attach(std::move(reply.descriptor));
  return OkStatus();
}

// Until there is a link again.
Status Model::Establish(uint64_t deadline_ns) {
  Status last = Unavailable("the daemon has not been asked");
  for (int pause = kFirstPauseMillis;; pause = std::min(2 * pause, kLongestPauseMillis)) {
    Status asked = AskOnce(deadline_ns);
    const int left = MillisUntil(deadline_ns);
    // What it said before says more than that the time is up.
    if (left == 0 && asked.code() == StatusCode::kDeadlineExceeded && pause > kFirstPauseMillis) {
      return last;
    }
    if (asked.ok() || !MayPass(asked) || left == 0) return asked;
    last = std::move(asked);
    ::poll(nullptr, 0, left < 0 ? pause : std::min(pause, left));
  }
}

void Model::TryAgain() {
  const auto& end = lane_->end();
  if (!end || end->reopen) return;
  // What was claimed by the consumer that was given up is nobody's any more.
  producer().FailPending([this](const auto& completion) { OnCompletion(completion); });
  lane_->Forgive();
}

Status Model::Begin(Call* call, uint64_t bytes, uint64_t deadline_ns, channel::RequestSlot* slot) {
  TryAgain();
  for (bool first = true;; first = false) {
    switch (producer().Begin(0, bytes, slot)) {
      case channel::BeginResult::kOk:
        owners_[slot->entry] = call;
        return OkStatus();
      case channel::BeginResult::kNoCredit:
      case channel::BeginResult::kNoEntry:
        if (first) {  // what destroyed calls had may be answered by now
          Glance();
          Collect();
          continue;
        }
        return ResourceExhausted(fmt::format(
            "model \"{}\" has {} calls already, some of which may have been destroyed while the "
            "model still was at them",
            name_, owners_.size()));
      case channel::BeginResult::kNoSpace:
        break;
    }
    if (!lane_->growing()) MLOS_RETURN_IF_ERROR(lane_->Grow(bytes));
    MLOS_RETURN_IF_ERROR(Drive(deadline_ns, [&] { return !lane_->growing(); }));
  }
}

void Model::Collect() {
  if (!producer().HasCompletions()) return;
  producer().Poll([this](const channel::Completion& completion) { OnCompletion(completion); });
}

bool Model::Glance() {
  const uint64_t now = NowNanos();
  if (now - glanced_ns_ > kGlanceNanos) {
    glanced_ns_ = now;
    lane_->Pump();
  }
  return !lane_->end();
}

void Model::Attend() {
  // One alone has waited for the link itself.  Held answers count too, so it may be that
  // nobody waits: then there is no system call.
  if (producer().in_flight() < 2) return;
  const auto waits = [](const Call* call) { return call != nullptr && call->waiting(); };
  if (std::any_of(owners_.begin(), owners_.end(), waits)) Glance();
}

Call* Model::FindRipe(uint64_t* until_ns) {
  const uint64_t now = NowNanos();
  *until_ns = kNever;
  for (size_t i = 0; i < owners_.size(); ++i) {
    const size_t entry = (turn_ + i) % owners_.size();
    Call* const call = owners_[entry];
    if (call == nullptr || !call->pending()) continue;
    if (call->Ripe(now)) {
      turn_ = entry + 1;
      return call;
    }
    *until_ns = std::min(*until_ns, call->deadline_ns());
  }
  return nullptr;
}

StatusOr<Call*> Model::WaitAny(uint64_t deadline_ns) {
  Glance();
  uint64_t until = 0;
  Call* ripe = FindRipe(&until);
  const auto pending = [](const Call* call) { return call != nullptr && call->pending(); };
  if (ripe == nullptr && std::none_of(owners_.begin(), owners_.end(), pending)) {
    return FailedPrecondition(fmt::format("no call of model \"{}\" is under way", name_));
  }
  const Status driven = ripe != nullptr ? OkStatus() : Drive(std::min(deadline_ns, until), [&] {
    return (ripe = FindRipe(&until)) != nullptr;
  });
  if (ripe == nullptr && (ripe = FindRipe(&until)) == nullptr) {
    if (driven.code() == StatusCode::kDeadlineExceeded) return driven;
    // What may pass with time has not yet: the call's own time is longer.
    if (MayPass(driven) && NowNanos() >= deadline_ns) {
      return DeadlineExceeded(Message(driven));
    }
    // Nobody will answer: whichever is asked says why.
    ripe = *std::find_if(owners_.begin(), owners_.end(), pending);
  }
  return ripe;
}

void Model::OnCompletion(const channel::Completion& completion) {
  Call* const call = owners_[completion.entry];
  if (call == nullptr) return producer().Release(completion.entry);
  call->OnCompletion(completion);
}

Status Model::Step(uint64_t deadline_ns, bool* slept) {
  if (lane_->end()) {
    const hostlink::LaneEnd end = *lane_->end();
    if (!end.reopen) return end.why;
    return Establish(deadline_ns);
  }
  // First, because a host may say for ever that something is answered.
  if (NowNanos() >= deadline_ns) {
    return DeadlineExceeded(fmt::format("model \"{}\" has not answered in time", name_));
  }
  // Who is answered all the time reads the link as well.
  if (NowNanos() - glanced_ns_ > kGlanceNanos) {
    Glance();
    return OkStatus();  // which may have been what is waited for
  }
  if (spinner_.Spin([this] { return producer().HasCompletions(); })) return OkStatus();
  lane_->Sleep(deadline_ns, !std::exchange(*slept, true) && lane_->granted());
  return OkStatus();
}

}  // namespace mlos::client
