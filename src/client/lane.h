// SPDX-License-Identifier: Apache-2.0
//
// An application's end of a direct channel: the producer, which stays for good with
// the requests in it, and the link over which the core says what becomes of the
// consumer (hostlink/lane_messages.h).  A link may end and be replaced by another,
// of the same core or of its successor; to the channel that is the next epoch.
//
// Owns both.  One thread.  The core's frames are checked, and nonsense ends the link.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "channel/producer.h"
#include "hostlink/lane_messages.h"
#include "hostlink/link.h"

namespace mlos::client {

class Lane {
 public:
  // `on_lost` is told what a dead consumer ran and nobody will run again.
  using OnLost = std::function<void(const channel::Completion&)>;
  static StatusOr<std::unique_ptr<Lane>> Create(OnLost on_lost);

  channel::Producer& producer() { return *producer_; }

  void Attach(OwnedFd link);
  // Since it was attached: a consumer has been, or will be, given the channel.
  bool granted() const { return granted_; }
  // Why the link is over; nothing as long as it is not.
  const std::optional<hostlink::LaneEnd>& end() const { return end_; }

  // An end without a way back gets one.
  void Forgive() {
    if (end_) end_->reopen = true;
  }

  // Does what the core asks for.  Never blocks, but for a core that does not read.
  void Pump();
  // Sleeps until something may have been answered, the core says something, or then.
  // `brief`: at first only for what is answered soon, which is cheaper.
  void Sleep(uint64_t deadline_ns, bool brief);

  // Has memory for a request of so many bytes made; there is some when `growing` is
  // false again.
  Status Grow(uint64_t bytes);
  bool growing() const { return !growing_.empty(); }

 private:
  explicit Lane(OnLost on_lost) : on_lost_(std::move(on_lost)) {}

  Status OnFrame(const hostlink::Frame& frame);
  Status OnBeginEpoch(const hostlink::Frame& frame);
  Status OnMoreMemory(const hostlink::Frame& frame);
  Status OnHasSegment(const hostlink::Frame& frame);
  Status Reply(hostlink::Frame frame, uint64_t id);
  void End(hostlink::LaneEnd end);

  OnLost on_lost_;
  std::unique_ptr<channel::Producer> producer_;
  std::unique_ptr<hostlink::Link> link_;
  std::vector<hostlink::Frame> frames_;
  std::vector<uint32_t> growing_;  // request segments that the consumer has not got yet
  std::optional<hostlink::LaneEnd> end_;
  bool granted_ = false;
  bool gone_ = false;  // something could not be sent: what was said before counts still
};

}  // namespace mlos::client
