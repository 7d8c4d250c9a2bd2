// SPDX-License-Identifier: Apache-2.0
#include "engine/host_lane.h"

#include <fcntl.h>

#include <algorithm>

#include "channel/layout.h"

namespace mlos::engine {

HostLane::HostLane(EventLoop& loop, EventLoop& control, std::unique_ptr<channel::Producer> producer)
    : loop_(loop),
      control_(control),
      producer_(std::move(producer)),
      on_completion_([this](const channel::Completion& c) { Complete(c); }),
      calls_(channel::kMaxEntries, nullptr),
      event_(loop.io(), fcntl(producer_->event_fd(), F_DUPFD_CLOEXEC, 0)) {}

void HostLane::Open(LaneObserver* observer) {
  observer_ = observer;
  WaitEvent();
}

void HostLane::Close() {
  observer_ = nullptr;
  boost::system::error_code ignored;
  event_.close(ignored);
}

// The ring is taken before the wait is renewed, or the descriptor would be
// ready for ever.  A ring that comes while no wait is outstanding is not lost:
// before it sleeps the loop looks at the channel itself
// (Producer::PrepareSleep).
void HostLane::WaitEvent() {
  event_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](const boost::system::error_code& error) {
                      if (error || self->observer_ == nullptr) return;
                      self->producer_->OnEventReadable();
                      self->WaitEvent();
                    });
}

void HostLane::Complete(const channel::Completion& completion) {
  if (observer_ != nullptr) {
    observer_->OnCompletion(*this, completion);
  } else {
    producer_->Release(completion.entry);
  }
}

size_t HostLane::Poll() { return producer_->Poll(on_completion_); }

// The channel's size grows by a share of itself, so that its segments stay few:
// each costs a descriptor, and a successor gets all of them in one message.
// Near the channel's limit, what is left.
template <typename Add>
StatusOr<channel::SegmentGrant> HostLane::AddSegment(uint64_t bytes, Add add) {
  constexpr uint64_t kMostAhead = 256 << 20;  // larger ones are for one tensor each
  uint64_t ahead = std::min(producer_->segment_bytes() / 2, kMostAhead);
  for (;; ahead /= 4) {
    StatusOr<channel::SegmentGrant> grant = add(std::max(bytes, ahead));
    if (grant.ok() || ahead <= bytes) return grant;
  }
}

Status HostLane::Grow(uint64_t bytes) {
  if (!growing_.empty()) return OkStatus();  // one at a time; its coming is tried first
  StatusOr<channel::SegmentGrant> grant =
      AddSegment(bytes, [this](uint64_t b) { return producer_->AddRequestSegment(b); });
  if (!grant.ok()) return grant.status();
  growing_.push_back(grant->id);
  auto shared = std::make_shared<channel::SegmentGrant>(*std::move(grant));
  control_.Post([self = shared_from_this(), shared] {
    if (self->send_request_segment) self->send_request_segment(std::move(*shared));
  });
  return OkStatus();
}

void HostLane::BeginEpoch(const channel::Ending& ending,
                          std::function<void(StatusOr<channel::ConsumerGrant>)> done) {
  loop_.Post([self = shared_from_this(), ending, done = std::move(done)] {
    if (self->observer_ != nullptr && self->producer_->epoch() > 0) {
      self->observer_->OnConsumerLost(*self);
    }
    // What the dead host was running and may not be run again ends here.
    self->producer_->Judge(
        ending,
        [&](uint32_t entry) {
          if (self->observer_ != nullptr) self->observer_->OnStrike(*self, entry);
        },
        self->on_completion_);
    Status status = self->producer_->BeginEpoch();
    auto grant = std::make_shared<StatusOr<channel::ConsumerGrant>>(
        status.ok() ? self->producer_->Grant() : StatusOr<channel::ConsumerGrant>(status));
    if (grant->ok()) {
      // Every consumer to come has these through its grant.
      for (const uint32_t id : std::exchange(self->growing_, {})) {
        self->producer_->ActivateRequestSegment(id);
      }
      if (self->observer_ != nullptr) self->observer_->OnSpace(*self);
    }
    self->control_.Post([grant, done] { done(std::move(*grant)); });
  });
}

void HostLane::AddResponseSegment(uint64_t bytes,
                                  std::function<void(StatusOr<channel::SegmentGrant>)> done) {
  loop_.Post([self = shared_from_this(), bytes, done = std::move(done)] {
    auto grant = std::make_shared<StatusOr<channel::SegmentGrant>>(self->AddSegment(
        bytes, [&](uint64_t b) { return self->producer_->AddResponseSegment(b); }));
    self->control_.Post([grant, done] { done(std::move(*grant)); });
  });
}

void HostLane::ActivateRequestSegment(uint32_t id) {
  loop_.Post([self = shared_from_this(), id] {
    if (std::erase(self->growing_, id) == 0) return;
    self->producer_->ActivateRequestSegment(id);
    if (self->observer_ != nullptr) self->observer_->OnSpace(*self);
  });
}

void HostLane::Fail(const Status& status) {
  loop_.Post([self = shared_from_this(), status] {
    self->failure_ = status;
    self->producer_->FailPending(self->on_completion_);
    self->Poll();  // what was answered before: the lane may close next
    if (self->observer_ != nullptr) self->observer_->OnSpace(*self);
  });
}

}  // namespace mlos::engine
