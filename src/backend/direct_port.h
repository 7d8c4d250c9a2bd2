// SPDX-License-Identifier: Apache-2.0
//
// The core's grip on a direct channel: its producer is a local application, at the
// other end of a link (hostlink/lane_messages.h).  The core passes on what the
// application makes, tells it what becomes of the host, and sees that it has gone.
//
// Threads: the control loop only.  Lifetime: shared, because the loop's handlers
// hold it; End, Fail or the application's own end is its last event.
// Trust: the application is untrusted.  What it sends is bounded, and an answer to
// nothing that was asked ends the channel.  Its descriptors are only passed on.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>

#include "backend/channel_port.h"
#include "base/event_loop.h"
#include "hostlink/lane_messages.h"
#include "hostlink/link.h"

namespace mlos::backend {

class DirectPort : public ChannelPort, public std::enable_shared_from_this<DirectPort> {
 public:
  // `on_end` comes once, never from inside a call of these functions: the channel is
  // over, whoever has ended it.
  DirectPort(EventLoop& loop, OwnedFd link, std::function<void()> on_end,
             std::chrono::milliseconds memory_limit = std::chrono::milliseconds(250));

  void Start();
  // Tells the application, and closes.
  void End(const hostlink::LaneEnd& end);
  bool ended() const { return ended_; }

  // ---- ChannelPort.  A callback comes once; UNAVAILABLE when the channel ends.
  void BeginEpoch(const channel::Ending& ending,
                  std::function<void(StatusOr<channel::ConsumerGrant>)> done) override;
  void AddResponseSegment(uint64_t bytes,
                          std::function<void(StatusOr<channel::SegmentGrant>)> done) override;
  void ActivateRequestSegment(uint32_t id) override;
  void Fail(const Status& status) override;
  void OnServed(const hostlink::Served& served) override {
    if (on_served) on_served(served);
  }

  // Set by the owner.
  std::function<void(const hostlink::Served&)> on_served;

 private:
  // What was asked of the application, in order: it answers in that order.
  struct Asked {
    uint64_t id = 0;
    std::function<void(StatusOr<channel::ConsumerGrant>)> grant;   // one of
    std::function<void(StatusOr<channel::SegmentGrant>)> segment;  // these
  };

  void WaitReadable();
  void OnReadable();
  Status OnFrame(hostlink::Frame frame);
  Status OnAnswer(hostlink::Frame frame);
  Status Count(uint64_t segments, uint64_t bytes);
  void WaitForMemory();
  void OnMemory();
  bool AsksForMemory() const;
  void Send(hostlink::Frame frame);
  void Flush();
  void Close();

  EventLoop& loop_;
  std::function<void()> on_end_;
  hostlink::Link link_;
  boost::asio::posix::stream_descriptor ready_;
  std::deque<Asked> asked_;
  // A worker of the host waits for response memory, so whoever is in a call gives it at
  // once, or its channel ends.
  const std::chrono::milliseconds memory_limit_;
  boost::asio::steady_timer memory_timer_;
  uint64_t next_id_ = 1;
  uint64_t segments_ = 0;  // that it has made
  bool write_waiting_ = false;
  bool ended_ = false;
};

}  // namespace mlos::backend
