// SPDX-License-Identifier: Apache-2.0
//
// One event loop's channel to one plugin host: the producer, the calls that
// are in it, and the descriptor that wakes the loop.
//
// Threads: made on the control loop; the ChannelPort functions are called
// there and do their work by posting to the engine's loop; everything else
// belongs to the engine's loop.  Shared: calls and the control loop hold it.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <vector>

#include "backend/channel_port.h"
#include "base/event_loop.h"
#include "channel/producer.h"
#include "engine/engine.h"

namespace mlos::engine {

// The engine's side of events on a lane.
class LaneObserver {
 public:
  virtual ~LaneObserver() = default;
  virtual void OnCompletion(HostLane& lane, const channel::Completion& completion) = 0;
  // There may be request memory now, or there never will be (lane.failure()).
  virtual void OnSpace(HostLane& lane) = 0;
  // A consumer that was there is gone, and another will follow.
  virtual void OnConsumerLost(HostLane& lane) = 0;
  // The death is laid to this entry, which may be on its way out: its request
  // is there until this returns.
  virtual void OnStrike(HostLane& lane, uint32_t entry) = 0;
};

class HostLane : public backend::ChannelPort, public std::enable_shared_from_this<HostLane> {
 public:
  HostLane(EventLoop& loop, EventLoop& control, std::unique_ptr<channel::Producer> producer);

  // ---- engine loop
  void Open(LaneObserver* observer);  // starts listening; borrowed
  void Close();
  channel::Producer& producer() { return *producer_; }
  // Asks for a request segment with room for `bytes`; OnSpace follows.
  Status Grow(uint64_t bytes);
  size_t Poll();
  const Status& failure() const { return failure_; }
  std::vector<Call*>& calls() { return calls_; }      // by entry; null: nobody waits
  std::vector<Call*>& waiters() { return waiters_; }  // for request memory
  channel::Usage usage() const { return producer_->usage(); }

  // ---- control loop: ChannelPort
  void BeginEpoch(const channel::Ending& ending,
                  std::function<void(StatusOr<channel::ConsumerGrant>)> done) override;
  void AddResponseSegment(uint64_t bytes,
                          std::function<void(StatusOr<channel::SegmentGrant>)> done) override;
  void ActivateRequestSegment(uint32_t id) override;
  void Fail(const Status& status) override;

 private:
  void WaitEvent();
  void Complete(const channel::Completion& completion);
  template <typename Add>
  StatusOr<channel::SegmentGrant> AddSegment(uint64_t bytes, Add add);

  EventLoop& loop_;
  EventLoop& control_;
  std::unique_ptr<channel::Producer> producer_;
  std::function<void(const channel::Completion&)> on_completion_;
  LaneObserver* observer_ = nullptr;
  Status failure_;
  std::vector<Call*> calls_;
  std::vector<Call*> waiters_;
  std::vector<uint32_t> growing_;  // segments that the host does not have yet
  boost::asio::posix::stream_descriptor event_;
};

}  // namespace mlos::engine
