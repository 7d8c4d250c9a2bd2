// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/request_trace.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace mlos::frontend {
namespace {

// A client's own id may be as long as a request; more than this is not written.
constexpr size_t kMostIdBytes = 1024;

}  // namespace

void RequestTrace::Start(trace::Tracer& tracer, const TraceNames& names,
                         const engine::ModelRoute& route, const Arrival& arrival) {
  record_ = tracer.Sample(route.name, route.version);
  if (record_ == nullptr) return;
  tracer_ = &tracer;
  names_ = &names;
  record_->request_id = arrival.request_id.substr(0, kMostIdBytes);
  record_->traceparent = arrival.traceparent.substr(0, kMostIdBytes);
  if (Wants(trace::kTimestamps)) record_->Note(names.receive_start, arrival.began_ns);
}

void RequestTrace::NoteWhole(uint64_t ns) {
  if (!Wants(trace::kTimestamps)) return;
  record_->Note(names_->receive_end, ns);
  record_->Note("REQUEST_START", ns);
}

void RequestTrace::NoteInputs(const ModelInfo& info, const tensor::RequestPlan& plan,
                              std::span<const std::byte> block) {
  if (!Wants(trace::kTensors)) return;
  for (const tensor::TensorDesc& input : plan.inputs) {
    record_->Note("TENSOR_QUEUE_INPUT", info.inputs[input.index].name,
                  static_cast<tensor::Datatype>(input.datatype), input.shape(),
                  block.subspan(input.offset, input.bytes));
  }
}

void RequestTrace::NoteAnswer(const engine::Call& call) {
  const uint64_t now = NowNanos();
  if (Wants(trace::kTimestamps)) {
    record_->Note("QUEUE_START", call.submitted_ns);
    if (call.submitted_ns != 0 && call.times.started_ns != 0) {
      // A host may write anything: what is not possible is cut to what is.
      const uint64_t started = std::clamp(call.times.started_ns, call.submitted_ns, now);
      const uint64_t finished = std::clamp(call.times.finished_ns, started, now);
      record_->Note("COMPUTE_START", started);
      record_->Note("COMPUTE_INPUT_END", started);  // inputs are used where they lie
      record_->Note("COMPUTE_OUTPUT_START", finished);
      record_->Note("COMPUTE_END", finished);
    }
    record_->Note("INFER_RESPONSE_COMPLETE", now);
    record_->Note("REQUEST_END", now);
    record_->Note(names_->send_start, now);
  }
  if (!Wants(trace::kTensors) || call.route == nullptr || !call.status.ok()) return;
  for (const engine::OutputTensor& output : call.outputs) {
    record_->Note("TENSOR_BACKEND_OUTPUT", call.route->info->outputs[output.desc.index].name,
                  static_cast<tensor::Datatype>(output.desc.datatype), output.desc.shape(),
                  output.data);
  }
}

void RequestTrace::Finish() {
  if (Wants(trace::kTimestamps)) record_->Note(names_->send_end, NowNanos());
  tracer_->Finish(std::move(record_));
}

}  // namespace mlos::frontend
