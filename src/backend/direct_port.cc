// SPDX-License-Identifier: Apache-2.0
#include "backend/direct_port.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace mlos::backend {
namespace {

// Of one channel over its life.  A well-behaved one makes a handful, and one more for
// each successor of a host.
constexpr uint64_t kMostSegments = 4096;
// Of what one grant or segment may claim to be; the host maps no more at once.
// At once; a host has no more workers that could ask.
constexpr size_t kMostAsked = 64;
constexpr uint64_t kMostBytes = uint64_t{16} << 30;

uint64_t BytesOf(const channel::ConsumerGrant& grant) {
  uint64_t bytes = 0;
  for (const auto* list : {&grant.requests, &grant.responses}) {
    for (const channel::SegmentGrant& segment : *list) bytes += std::min(segment.bytes, kMostBytes);
  }
  return bytes;
}

}  // namespace

DirectPort::DirectPort(EventLoop& loop, OwnedFd link, std::function<void()> on_end,
                       std::chrono::milliseconds memory_limit)
    : loop_(loop),
      on_end_(std::move(on_end)),
      link_(std::move(link), hostlink::Link::Descriptors::kFew),
      ready_(loop.io(), fcntl(link_.fd(), F_DUPFD_CLOEXEC, 3)),
      memory_limit_(memory_limit),
      memory_timer_(loop.io()) {}

void DirectPort::Start() { WaitReadable(); }

// ------------------------------------------------------------------ what comes

void DirectPort::WaitReadable() {
  ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](const boost::system::error_code& error) {
                      if (!error && !self->ended_) self->OnReadable();
                    });
}

void DirectPort::OnReadable() {
  std::vector<hostlink::Frame> frames;
  const Status received = link_.Receive(&frames);
  for (hostlink::Frame& frame : frames) {
    if (ended_) return;
    if (const Status good = OnFrame(std::move(frame)); !good.ok()) {
      Log(LogLevel::kDebug, "a local application's channel ends: {}", Message(good));
      return End({.why = good});
    }
  }
  if (ended_) return;
  if (received.ok()) return WaitReadable();
  if (received.code() == StatusCode::kUnavailable) return Close();  // it has gone
  End({.why = received});
}

Status DirectPort::OnFrame(hostlink::Frame frame) {
  if (frame.type != hostlink::kSegment || frame.id != 0) return OnAnswer(std::move(frame));
  MLOS_ASSIGN_OR_RETURN(channel::SegmentGrant segment, hostlink::DecodeSegment(std::move(frame)));
  MLOS_RETURN_IF_ERROR(Count(1, segment.bytes));
  if (send_request_segment) send_request_segment(std::move(segment));
  return OkStatus();
}

Status DirectPort::OnAnswer(hostlink::Frame frame) {
  if (asked_.empty() || asked_.front().id != frame.id) {
    return InvalidArgument("the application answered something that was not asked");
  }
  const Asked asked = std::move(asked_.front());
  asked_.pop_front();
  if (frame.type == hostlink::kRefused) {
    const Status why = hostlink::DecodeRefused(frame);
    asked.grant ? asked.grant(why) : asked.segment(why);
    OnMemory();
    return OkStatus();
  }
  if (frame.type == hostlink::kGrant && asked.grant) {
    StatusOr<channel::ConsumerGrant> grant = hostlink::DecodeGrant(std::move(frame));
    Status good = grant.ok() ? Count(1, BytesOf(*grant)) : grant.status();
    asked.grant(good.ok() ? std::move(grant) : StatusOr<channel::ConsumerGrant>(good));
    return good;
  }
  if (frame.type == hostlink::kSegment && asked.segment) {
    StatusOr<channel::SegmentGrant> segment = hostlink::DecodeSegment(std::move(frame));
    Status good = segment.ok() ? Count(1, segment->bytes) : segment.status();
    asked.segment(good.ok() ? std::move(segment) : StatusOr<channel::SegmentGrant>(good));
    if (good.ok()) OnMemory();
    return good;
  }
  Status wrong = InvalidArgument("the application answered with another message");
  asked.grant ? asked.grant(wrong) : asked.segment(wrong);
  return wrong;
}

Status DirectPort::Count(uint64_t segments, uint64_t bytes) {
  segments_ += segments;
  if (segments_ > kMostSegments) {
    return ResourceExhausted("the channel has had " + std::to_string(kMostSegments) +
                             " segments: open another");
  }
  if (bytes > kMostBytes) {
    return ResourceExhausted("a channel's memory has at most " + std::to_string(kMostBytes) +
                             " bytes");
  }
  return OkStatus();
}

// ------------------------------------------------------------------- what goes

void DirectPort::BeginEpoch(const channel::Ending& ending,
                            std::function<void(StatusOr<channel::ConsumerGrant>)> done) {
  if (ended_) return done(Unavailable("the application has closed the channel"));
  hostlink::Frame frame = hostlink::EncodeBeginEpoch(ending);
  frame.id = next_id_++;
  asked_.push_back({.id = frame.id, .grant = std::move(done), .segment = nullptr});
  Send(std::move(frame));
}

void DirectPort::AddResponseSegment(uint64_t bytes,
                                    std::function<void(StatusOr<channel::SegmentGrant>)> done) {
  if (ended_) return done(Unavailable("the application has closed the channel"));
  if (asked_.size() >= kMostAsked) {
    return done(ResourceExhausted("the application is asked for too much at once"));
  }
  const bool first = !AsksForMemory();
  hostlink::Frame frame = hostlink::EncodeMoreMemory(bytes);
  frame.id = next_id_++;
  asked_.push_back({.id = frame.id, .grant = nullptr, .segment = std::move(done)});
  Send(std::move(frame));
  if (first && !ended_) WaitForMemory();
}

void DirectPort::OnMemory() {
  AsksForMemory() ? WaitForMemory() : static_cast<void>(memory_timer_.cancel());
}

bool DirectPort::AsksForMemory() const {
  return std::any_of(asked_.begin(), asked_.end(),
                     [](const Asked& one) { return one.segment != nullptr; });
}

// Until nothing of the kind is asked any more; each answer begins it anew.
void DirectPort::WaitForMemory() {
  memory_timer_.expires_after(memory_limit_);
  memory_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->ended_) return;
    self->End({.why = Unavailable("the application gave no memory for an answer in time"),
               .reopen = true});
  });
}

void DirectPort::ActivateRequestSegment(uint32_t id) {
  if (!ended_) Send(hostlink::EncodeHasSegment(id));
}

void DirectPort::Fail(const Status& status) { End({.why = status}); }

void DirectPort::End(const hostlink::LaneEnd& end) {
  if (ended_) return;
  // Where its socket is full, it does not read, and sees the end of the link instead.
  if (link_.Enqueue(hostlink::EncodeEnded(end)).ok()) static_cast<void>(link_.Flush());
  Close();
}

void DirectPort::Send(hostlink::Frame frame) {
  if (const Status queued = link_.Enqueue(std::move(frame)); !queued.ok()) return Close();
  Flush();
}

void DirectPort::Flush() {
  if (write_waiting_ || ended_) return;
  const StatusOr<bool> done = link_.Flush();
  if (!done.ok() || *done) return;  // broken: its end is read
  write_waiting_ = true;
  ready_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                    [self = shared_from_this()](const boost::system::error_code& error) {
                      self->write_waiting_ = false;
                      if (!error) self->Flush();
                    });
}

void DirectPort::Close() {
  if (std::exchange(ended_, true)) return;
  boost::system::error_code ignored;
  memory_timer_.cancel();
  ready_.close(ignored);
  link_.Close();
  loop_.Post([self = shared_from_this(), asked = std::move(asked_)] {
    for (const Asked& one : asked) {
      const Status gone = Unavailable("the application has closed the channel");
      one.grant ? one.grant(gone) : one.segment(gone);
    }
    if (self->on_end_) std::exchange(self->on_end_, nullptr)();
  });
  asked_.clear();
}

}  // namespace mlos::backend
