// SPDX-License-Identifier: Apache-2.0
//
// One inference through the engine's steps, the same for every protocol.  The
// front end derives from it, and says what is in the request and what becomes
// of the answer:
//
//   Begin -> Plan -> Fill -> Encode -> Deliver -> (the answer is sent) -> End
//
// What is here for all: the deadline, what comes first where several things are
// wrong, the order and form of outputs, counting, the trace, and that nothing
// is left of a call whose client has gone.
//
// One per request that may be under way, reused: nothing is allocated for a
// request like the one before.  Threads: the front end's loop.  Lifetime: the
// context outlives it; End before it goes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/engine.h"
#include "frontends/common/call_answer.h"
#include "frontends/common/call_tensors.h"
#include "frontends/common/request_trace.h"
#include "metrics/model_counters.h"

namespace mlos::frontend {

// What all calls of a front end share.
struct CallContext {
  engine::Engine& engine;
  Classifier& classifier;
  trace::Tracer* tracer;  // null: nothing is traced
  metrics::Protocol protocol;
  const TraceNames& names;
  uint64_t default_deadline_ns;  // where the client gives none
  uint64_t max_deadline_ns;      // whatever it gives
};

// Texts stay until End.
struct CallStart {
  std::string_view model;
  std::string_view version;  // empty: any
  // What is wrong with it; the client is told unless there is no such model.
  Status fault;
  bool whole = true;                // all of it is here; else Continue says when
  uint64_t began_ns = 0;            // when its first bytes came; 0: not known
  uint64_t arrived_ns = 0;          // when all of it was here, or as much as there is
  uint64_t timeout_us = 0;          // what it gives itself; 0: nothing
  uint64_t client_deadline_ns = 0;  // CLOCK_MONOTONIC, by the transport; 0: none
  std::string_view request_id;      // for the log
  std::string_view client_id;       // the request's own word
  std::string_view traceparent;
};

// Before a large request is read: UNAVAILABLE where its model has no room for it
// now.  That is then its answer, and is counted.
Status Admit(const CallContext& context, std::string_view model, std::string_view version);

class CallSteps : private engine::Call {
 public:
  explicit CallSteps(const CallContext& context) : context_(context) {}

  void Begin(const CallStart& start);
  // Once, whatever became of it: the answer is out, or nobody waits any more,
  // in which case no further step comes.
  void End();

 protected:
  enum class Turn : uint8_t {
    kDone,
    kLater,  // not done: OnLater follows at once, and Continue when it is
  };

  // The model is known, and ready: what is asked of it, and with what.
  virtual StatusOr<Turn> Plan(const engine::ModelRoute& route, tensor::RequestPlan* plan) = 0;
  // Writes the inputs where `plan` says, from the block's beginning.  Plan and
  // block stay until this is done.
  virtual StatusOr<Turn> Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) = 0;
  // Plan or Fill has said kLater: from here on Continue may come.
  virtual void OnLater() {}
  // Makes the answer, of answer() where `status` is success.  The model's
  // memory and answer() are good until it returns, or until End after
  // KeepOutputs.  `never`: the request is larger than any can be, and it is of
  // no use to try again.  Returns what it tells the client.
  virtual Status Encode(const Status& status, bool never) = 0;
  // Sends it.  May end this request and begin the next one.
  virtual void Deliver() = 0;

  // In Plan: what the client wants, in this order; stays until Deliver.  Without
  // this all outputs are wanted.
  void Ask(std::span<const AskedOutput> outputs) { asked_ = outputs; }
  // After kLater: it is done, and the request whole; or what is wrong with it.
  // From OnLater on.
  void Continue(const Status& result);
  // Whether Continue is waited for.
  bool waits() const { return waits_; }
  // In Encode: the answer points to the model's memory.
  void KeepOutputs() { keep_ = true; }
  bool keeps_outputs() const { return keep_; }
  // After that: it does not, any more, and the memory is given back.
  void ReleaseOutputs() { GiveBack(); }

  // From Plan on, until Deliver or, after KeepOutputs, ReleaseOutputs or End.
  const engine::ModelRoute& model() const { return *route; }
  std::span<const AnswerTensor> answer() const { return answer_.tensors(); }

 private:
  enum class Step : uint8_t { kIdle, kResolve, kPlan, kAllocate, kFill, kSubmit };

  void OnProgress() final { Run(step_, true); }
  void Run(Step step, bool done);
  bool Own(const StatusOr<Turn>& turn);
  void BeginTrace();
  void Answer(const Status& result);
  void GiveBack();
  void Count(StatusCode code);
  uint64_t BatchSize() const;

  const CallContext& context_;
  CallStart start_;
  Step step_ = Step::kIdle;
  bool waits_ = false;  // for the front end
  bool held_ = false;   // the engine has something of it
  bool keep_ = false;
  std::span<const AskedOutput> asked_;
  tensor::RequestPlan plan_;
  CallAnswer answer_;
  RequestTrace trace_;
};

}  // namespace mlos::frontend
