// SPDX-License-Identifier: Apache-2.0
//
// The trace of one request, for any protocol: where the tracer wants it, notes
// what the request's call went through.  With tracing off every step is a look
// at a null pointer.
//
// One per request that may be under way, reused.  Threads: the front end's
// loop.  The tracer outlives it.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "engine/engine.h"
#include "trace/tracer.h"

namespace mlos::frontend {

// What a protocol's own times are called.
struct TraceNames {
  std::string_view receive_start;
  std::string_view receive_end;
  std::string_view send_start;
  std::string_view send_end;
};
inline constexpr TraceNames kHttpTrace = {"HTTP_RECV_START", "HTTP_RECV_END", "HTTP_SEND_START",
                                          "HTTP_SEND_END"};
inline constexpr TraceNames kGrpcTrace = {"GRPC_WAITREAD_START", "GRPC_WAITREAD_END",
                                          "GRPC_SEND_START", "GRPC_SEND_END"};

class RequestTrace {
 public:
  struct Arrival {
    std::string_view request_id;
    std::string_view traceparent;
    uint64_t began_ns = 0;  // the request's first bytes; 0: not known
  };
  // The model is known.  May decide that this request is traced.
  void Begin(trace::Tracer* tracer, const TraceNames& names, const engine::ModelRoute& route,
             const Arrival& arrival) {
    if (tracer != nullptr && tracer->enabled()) Start(*tracer, names, route, arrival);
  }
  // All of the request is here, since `ns`.
  void Whole(uint64_t ns) {
    if (record_ != nullptr) NoteWhole(ns);
  }
  // The inputs lie in `block` as `plan` says.
  void Inputs(const ModelInfo& info, const tensor::RequestPlan& plan,
              std::span<const std::byte> block) {
    if (record_ != nullptr) NoteInputs(info, plan, block);
  }
  // The call has its answer, which is about to be sent.
  void Answered(const engine::Call& call) {
    if (record_ != nullptr) NoteAnswer(call);
  }
  // The answer is out, or nobody wants it any more.
  void End() {
    if (record_ != nullptr) Finish();
  }

 private:
  void Start(trace::Tracer& tracer, const TraceNames& names, const engine::ModelRoute& route,
             const Arrival& arrival);
  void NoteWhole(uint64_t ns);
  void NoteInputs(const ModelInfo& info, const tensor::RequestPlan& plan,
                  std::span<const std::byte> block);
  void NoteAnswer(const engine::Call& call);
  void Finish();
  bool Wants(uint8_t level) const { return (record_->level & level) != 0; }

  trace::Tracer* tracer_ = nullptr;
  const TraceNames* names_ = nullptr;
  std::unique_ptr<trace::Record> record_;  // null: not traced
};

}  // namespace mlos::frontend
