// SPDX-License-Identifier: Apache-2.0
#include "client/lane.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "client/socket.h"

namespace mlos::client {
namespace {

// What plugin hosts take (docs/ipc.md).
constexpr uint32_t kEntries = 64;
// What is answered within this is waited for on the memory itself, with one system
// call instead of three; the core has to wait so long for an answer at most.
constexpr uint64_t kBriefNanos = 5 * kNanosPerMilli;

}  // namespace

StatusOr<std::unique_ptr<Lane>> Lane::Create(OnLost on_lost) {
  std::unique_ptr<Lane> lane(new Lane(std::move(on_lost)));
  channel::Options options;
  options.entries = kEntries;
  options.prefault_bytes = 64 << 10;
  options.rung_by = channel::EventKind::kSocket;
  MLOS_ASSIGN_OR_RETURN(lane->producer_, channel::Producer::Create(options));
  lane->producer_->SetLaneLimit(0, kEntries);
  return lane;
}

void Lane::Attach(OwnedFd link) {
  // The core has no descriptors for an application but this one.
  link_ = std::make_unique<hostlink::Link>(std::move(link), hostlink::Link::Descriptors::kRefused);
  end_.reset();
  gone_ = false;
  granted_ = false;
}

void Lane::Pump() {
  if (end_ || link_ == nullptr) return;
  frames_.clear();
  const Status received = link_->Receive(&frames_);
  for (const hostlink::Frame& frame : frames_) {
    if (const Status good = OnFrame(frame); !good.ok()) {
      return End({.why = good, .reopen = false});
    }
    if (end_) return;
  }
  if (received.ok() && !gone_) return;
  if (gone_ || received.code() == StatusCode::kUnavailable) {
    return End({.why = Unavailable("the daemon has gone"), .reopen = true});
  }
  End({.why = received, .reopen = false});
}

Status Lane::OnFrame(const hostlink::Frame& frame) {
  switch (frame.type) {
    case hostlink::kBeginEpoch:
      return OnBeginEpoch(frame);
    case hostlink::kMoreMemory:
      return OnMoreMemory(frame);
    case hostlink::kHasSegment:
      return OnHasSegment(frame);
    case hostlink::kEnded: {
      MLOS_ASSIGN_OR_RETURN(hostlink::LaneEnd end, hostlink::DecodeEnded(frame));
      End(std::move(end));
      return OkStatus();
    }
    default:
      return Internal("the daemon sent a message about a channel that makes no sense");
  }
}

Status Lane::OnBeginEpoch(const hostlink::Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const channel::Ending ending, hostlink::DecodeBeginEpoch(frame));
  producer_->Judge(
      ending, [](uint32_t) {}, on_lost_);
  Status status = producer_->BeginEpoch();
  StatusOr<channel::ConsumerGrant> grant =
      status.ok() ? producer_->Grant() : StatusOr<channel::ConsumerGrant>(std::move(status));
  if (!grant.ok()) return Reply(hostlink::EncodeRefused(grant.status()), frame.id);
  MLOS_RETURN_IF_ERROR(Reply(hostlink::EncodeGrant(*std::move(grant)), frame.id));
  // They are in the grant of this consumer and of all that follow.
  for (const uint32_t id : std::exchange(growing_, {})) producer_->ActivateRequestSegment(id);
  granted_ = true;
  return OkStatus();
}

Status Lane::OnMoreMemory(const hostlink::Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const uint64_t bytes, hostlink::DecodeMoreMemory(frame));
  StatusOr<channel::SegmentGrant> segment = producer_->AddResponseSegment(bytes);
  return Reply(segment.ok() ? hostlink::EncodeSegment(*std::move(segment))
                            : hostlink::EncodeRefused(segment.status()),
               frame.id);
}

Status Lane::OnHasSegment(const hostlink::Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const uint32_t id, hostlink::DecodeHasSegment(frame));
  // Another one it has had since the last grant, or it is none of ours.
  const auto it = std::find(growing_.begin(), growing_.end(), id);
  if (it == growing_.end()) return OkStatus();
  growing_.erase(it);
  producer_->ActivateRequestSegment(id);
  return OkStatus();
}

Status Lane::Reply(hostlink::Frame frame, uint64_t id) {
  frame.id = id;
  gone_ |= !link_->Send(std::move(frame)).ok();
  return OkStatus();
}

Status Lane::Grow(uint64_t bytes) {
  // Twice as much each time, so that there are few: each is a descriptor everywhere.
  StatusOr<channel::SegmentGrant> added =
      producer_->AddRequestSegment(std::max(bytes, producer_->usage().request_bytes));
  if (!added.ok()) added = producer_->AddRequestSegment(bytes);
  MLOS_ASSIGN_OR_RETURN(channel::SegmentGrant segment, std::move(added));
  growing_.push_back(segment.id);
  // Without a consumer it comes with the next one's grant.
  if (!granted_ || end_) return OkStatus();
  gone_ |= !link_->Send(hostlink::EncodeSegment(std::move(segment))).ok();
  return OkStatus();
}

void Lane::Sleep(uint64_t deadline_ns, bool brief) {
  const bool answers = producer_->in_flight() > 0;
  if (brief && answers) {
    if (producer_->PrepareSleep(channel::Sleep::kFutex)) {
      producer_->FutexSleep(std::min(deadline_ns, NowNanos() + kBriefNanos));
    }
    producer_->FinishSleep();
    return;
  }
  pollfd events[2] = {{link_->fd(), POLLIN, 0}, {producer_->event_fd(), POLLIN, 0}};
  if (!answers || producer_->PrepareSleep(channel::Sleep::kEventFd)) {
    ::poll(events, answers ? 2 : 1, MillisUntil(deadline_ns));
  }
  if (events[1].revents != 0) producer_->OnEventReadable();
  if (answers) producer_->FinishSleep();
  if (events[0].revents != 0) Pump();
}

void Lane::End(hostlink::LaneEnd end) {
  end_ = std::move(end);
  granted_ = false;
  link_.reset();
}

}  // namespace mlos::client
