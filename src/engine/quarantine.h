// SPDX-License-Identifier: Apache-2.0
//
// Requests that plugin hosts died of, by what they say: so that a client that
// tries again does not take the host from everybody else each time.
//
// A request is known by its model (a number that no other has), its principal,
// and the contents of its inputs and parameters, whatever its id and deadline.  What has
// channel::kMostStrikes is refused for some time from the last one; strikes are
// forgotten after as long.  Others of the same principal, and the same
// request of others, are not touched.  At most kMost requests are remembered,
// the newest.
//
// One per engine; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/clock.h"
#include "channel/producer.h"

namespace mlos::engine {

class Quarantine {
 public:
  static constexpr uint64_t kRefuseNanos = 600 * kNanosPerSecond;
  static constexpr size_t kMost = 256;

  explicit Quarantine(uint64_t refuse_ns = kRefuseNanos) : refuse_ns_(refuse_ns) {}
  uint64_t refuse_ns() const { return refuse_ns_; }

  // True: this was the one that has it refused from now on.
  bool Strike(const channel::RequestSlot& request, uint64_t model, uint32_t principal,
              uint64_t now_ns);
  // Whether it is refused.  Reads the contents only where something of this
  // model and principal, and of its size, is remembered.
  bool Holds(const channel::RequestSlot& request, uint64_t model, uint32_t principal,
             uint64_t now_ns);
  bool empty() const { return known_.empty(); }

 private:
  struct Known {
    uint64_t model = 0;
    uint32_t principal = 0;
    uint64_t bytes = 0;  // of its inputs: another size is another request, without a look inside
    uint64_t contents = 0;
    uint32_t strikes = 0;
    uint64_t last_ns = 0;
  };
  void Forget(uint64_t now_ns);

  const uint64_t refuse_ns_;
  std::deque<Known> known_;  // the newest strike last
};

}  // namespace mlos::engine
