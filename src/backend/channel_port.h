// SPDX-License-Identifier: Apache-2.0
//
// The control loop's grip on a channel whose producer lives on another loop.
// All functions are called on the control loop, and call back there.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"
#include "channel/grant.h"
#include "channel/producer.h"
#include "hostlink/messages.h"

namespace mlos::backend {

class ChannelPort {
 public:
  virtual ~ChannelPort() = default;

  // The consumer is gone for good (or there was none), and how: starts the next
  // epoch and gives what the next consumer needs.
  virtual void BeginEpoch(const channel::Ending& ending,
                          std::function<void(StatusOr<channel::ConsumerGrant>)> done) = 0;
  // A further response segment, for the consumer.
  virtual void AddResponseSegment(uint64_t bytes,
                                  std::function<void(StatusOr<channel::SegmentGrant>)> done) = 0;
  // The consumer has this request segment now.
  virtual void ActivateRequestSegment(uint32_t id) = 0;
  // No consumer will come: everything in flight is answered with `status`, and
  // so is what comes later.
  virtual void Fail(const Status& status) = 0;

  // What its plugin host has answered on it, of a channel whose producer does not count.
  virtual void OnServed(const hostlink::Served& served) { static_cast<void>(served); }

  // Set by the host: passes a request segment that the producer made to the
  // consumer.  Called on the control loop.
  std::function<void(channel::SegmentGrant)> send_request_segment;
};

}  // namespace mlos::backend
