// SPDX-License-Identifier: Apache-2.0
//
// The data path as a front end sees it:
//
//   Resolve -> (plan the request) -> Allocate -> (fill the memory) -> Submit
//           -> (encode the answer) -> Finish
//
// Each step either is done at once (returns true) or calls Call::OnProgress
// later on the same thread (returns false); either way Call::status says how
// it went.  A front end keeps one Call per request under way and reuses it:
// nothing is allocated per request.
//
// Threads: an Engine belongs to one event loop; all calls come from it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "channel/producer.h"
#include "engine/route.h"
#include "metrics/model_counters.h"
#include "tensor/message.h"
#include "tensor/model_info.h"

namespace mlos::engine {

struct OutputTensor {
  tensor::TensorDesc desc;          // checked: index, datatype, shape against the model
  std::span<const std::byte> data;  // in the channel; valid until Finish
};

// One inference under way.  The front end derives from it.
class Call {
 public:
  Call() = default;
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // The step that returned false is done: look at `status`.
  virtual void OnProgress() = 0;

  // ---- set by the front end before Resolve
  uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC; required
  uint32_t principal = 0;
  // For the log, where this request is one of those that a host died with;
  // stays until Finish.
  std::string_view request_id;

  // ---- set by the engine
  Status status;
  RoutePin route;                     // after Resolve: the model, ready, pinned until Finish
  channel::RequestSlot slot;          // after Allocate: slot.memory is the request block
  std::vector<OutputTensor> outputs;  // after Submit: in the order asked for
  uint64_t submitted_ns = 0;          // after Submit: when it became visible to the host
  channel::Times times;               // after Submit: from the host
  // After Resolve: of the model, whether it serves or not; null where there is
  // none, or nothing is counted.  Good until the loop's next turn after Finish.
  metrics::ModelCounters* counters = nullptr;

 private:
  friend class ChannelEngine;
  friend class FakeEngine;
  enum class Stage : uint8_t { kIdle, kResolving, kAllocating, kFilling, kRunning, kAnswered };
  Stage stage_ = Stage::kIdle;
  std::shared_ptr<HostLane> host_;
  tensor::RequestPlan* plan_ = nullptr;  // while it waits for memory
  uint64_t plan_bytes_ = 0;
  std::vector<uint32_t> wanted_;  // outputs asked for
  uint64_t loading_ = 0;          // while it waits for its model: of which registration
  bool counted_ = false;          // among those in flight
};

class Engine {
 public:
  virtual ~Engine() = default;

  // The present routing snapshot: for metadata and readiness.
  virtual std::shared_ptr<const RoutingTable> routes() const = 0;

  // Where requests are counted; null: nowhere.
  virtual metrics::ModelBook* book() { return nullptr; }

  // Before a large request is read: UNAVAILABLE where the model has as many in
  // flight as it may.  OK promises nothing.
  virtual Status Admits(std::string_view model, std::string_view version) const {
    (void)model;
    (void)version;
    return OkStatus();
  }

  // Finds the model (empty version: the highest that serves) and, when it is
  // registered on demand, loads it.  NOT_FOUND: no such model or version.
  // UNAVAILABLE: unloaded, failed, draining.
  virtual bool Resolve(Call& call, std::string_view model, std::string_view version) = 0;

  // Request memory for `plan` (which it lays out: inputs[i].offset).  Writes
  // header and descriptors; the caller then fills the data of input i at
  // call.slot.memory.data() + plan.inputs[i].offset.
  // UNAVAILABLE: too much in flight, try again later.
  // RESOURCE_EXHAUSTED: larger than any channel may be.
  virtual bool Allocate(Call& call, tensor::RequestPlan* plan) = 0;

  // Runs it.  The status is the model's answer: OK with `outputs`, or the error.
  virtual bool Submit(Call& call) = 0;

  // Gives everything back; the Call may be used again.  At any stage: a call
  // that is waiting or running is cancelled and OnProgress does not come.
  virtual void Finish(Call& call) = 0;
};

}  // namespace mlos::engine
