// SPDX-License-Identifier: Apache-2.0
//
// One inference through the engine's steps, for a front end that says what is
// in the request and what becomes of the answer:
//
//   Begin -> Plan -> Fill -> Encode -> Deliver -> (the answer is sent) -> End
//
// Counts the request, and traces it where that is wanted.  One per request
// that may be under way, reused.
//
// Threads: the front end's loop.  Lifetime: engine and tracer outlive it; End
// before it goes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/engine.h"
#include "frontends/common/request_trace.h"
#include "metrics/model_counters.h"

namespace mlos::frontend {

class CallSteps : private engine::Call {
 public:
  struct Start {
    std::string_view model;       // stays until End
    std::string_view version;     // likewise; empty: any
    uint64_t arrived_ns = 0;      // when all of it was there
    uint64_t allowed_ns = 0;      // how long it may take from then on
    std::string_view request_id;  // for the log; short; stays until End
    trace::Tracer* tracer = nullptr;
    RequestTrace::Arrival arrival;
  };
  // Counts and traces as a protocol's.
  CallSteps(engine::Engine& engine, metrics::Protocol protocol, const TraceNames& names)
      : engine_(engine), protocol_(protocol), names_(names) {}

  void Begin(const Start& start);
  // Once, whatever became of it: the answer is out, or nobody waits any more,
  // in which case no further step comes.
  void End();

 protected:
  // The model is known, and ready: what is asked of it, and with what.
  virtual Status Plan(const engine::ModelRoute& route, tensor::RequestPlan* plan) = 0;
  // Writes the inputs where `plan` says, from the block's beginning.
  virtual Status Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) = 0;
  // Makes the answer, of the outputs where `status` is success: they, and the
  // route, are good until it returns.  `never`: the request is larger than any
  // can be, and it is of no use to try again.  Returns what it tells the client.
  virtual Status Encode(const Status& status, bool never) = 0;
  // Sends it.  May end this request and begin the next one.
  virtual void Deliver() = 0;

  const engine::ModelRoute& model() const { return *route; }
  std::span<const engine::OutputTensor> answer() const { return outputs; }

 private:
  enum class Step : uint8_t { kIdle, kResolve, kAllocate, kSubmit };

  void OnProgress() final { Run(step_, true); }
  void Run(Step step, bool done);
  Status Planned();
  Status Filled();
  void Answer(const Status& status);
  void GiveBack();
  void Count(StatusCode code);
  uint64_t BatchSize() const;

  engine::Engine& engine_;
  const metrics::Protocol protocol_;
  const TraceNames& names_;
  Start start_;
  Step step_ = Step::kIdle;
  bool held_ = false;  // the engine has something of it
  tensor::RequestPlan plan_;
  RequestTrace trace_;
};

}  // namespace mlos::frontend
