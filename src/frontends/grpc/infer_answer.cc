// SPDX-License-Identifier: Apache-2.0
//
// The part of InferJob that goes from the model's outputs to the answer.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "frontends/grpc/infer_job.h"

namespace mlos::grpc {
namespace {

using frontend::Quote;

}  // namespace

Status InferJob::TakeOutputs() {
  answer_.clear();
  for (const engine::OutputTensor& output : outputs) {
    if (output.desc.index >= info().outputs.size()) {
      return Internal("the model has given an output that it does not have");
    }
  }
  if (request_.outputs.empty()) {
    for (const engine::OutputTensor& output : outputs) answer_.push_back({&output, false});
    return OkStatus();
  }
  MLOS_RETURN_IF_ERROR(Classify());
  for (const InferOutput& asked : request_.outputs) {
    const auto at = std::find_if(outputs.begin(), outputs.end(), [&](const auto& output) {
      return output.desc.index == asked.index;
    });
    if (at == outputs.end()) return Internal("the model left out an output that was asked for");
    answer_.push_back({&*at, asked.place.given()});
  }
  return WriteToRegions();
}

// Puts the greatest elements in the place of the outputs that they were asked of.
Status InferJob::Classify() {
  classified_.clear();
  for (const InferOutput& asked : request_.outputs) {
    if (asked.classes == 0) continue;
    const auto at = std::find_if(outputs.begin(), outputs.end(), [&](const auto& output) {
      return output.desc.index == asked.index;
    });
    if (at == outputs.end()) return Internal("the model left out an output that was asked for");
    // The outputs point into these texts: they stay where they are.
    if (classified_.empty()) classified_.reserve(request_.outputs.size());
    std::string& elements = classified_.emplace_back();
    std::span<const std::string> labels;
    if (route->settings != nullptr && asked.index < route->settings->labels.size()) {
      labels = route->settings->labels[asked.index];
    }
    const Status status = context_.classifier.Classify(*at, info().max_batch_size > 0,
                                                       asked.classes, labels, &elements, &at->desc);
    if (!status.ok()) {
      return Annotate(status, "model " + Quote(request_.model) + ": output " + Quote(asked.name));
    }
    at->data = std::as_bytes(std::span(elements));
  }
  return OkStatus();
}

Status InferJob::WriteToRegions() {
  for (size_t i = 0; i < answer_.size(); ++i) {
    if (!answer_[i].elsewhere) continue;
    const RegionPlace& place = request_.outputs[i].place;
    const auto data = answer_[i].tensor->data;
    const Status written =
        data.size() <= place.bytes
            ? place.pin->Write(place.offset, data)
            : Internal("needs " + std::to_string(data.size()) +
                       " bytes of shared memory, and shared_memory_byte_size is " +
                       std::to_string(place.bytes));
    if (!written.ok()) {
      return Annotate(written, "model " + Quote(request_.model) + ": output " +
                                   Quote(request_.outputs[i].name));
    }
  }
  return OkStatus();
}

void InferJob::Answer(const Status& error) {
  error_ = error;
  if (route != nullptr) BeginTrace();
  Count(error.code());
  trace_.Answered(*this);
  CloseFill();
  stage_ = Stage::kAnswered;
  // The memory of what failed is of use to others, whatever still arrives of it.
  if (!error_.ok()) {
    LetGo();
    Shrink();
  }
  owner_->OnAnswer(*this);
  if (!error_.ok() && stage_ == Stage::kAnswered && std::exchange(waiting_, false)) {
    owner_->OnReady(*this);
  }
}

void InferJob::BeginTrace() {
  if (std::exchange(traced_, true)) return;
  trace_.Begin(context_.tracer, frontend::kGrpcTrace, *route,
               {.request_id = request_.id.empty() ? arrival_.request_id : request_.id,
                .traceparent = arrival_.traceparent,
                .began_ns = arrival_.began_ns});
  if (whole_ns_ != 0) trace_.Whole(whole_ns_);
}

void InferJob::Count(StatusCode code) {
  if (counters == nullptr) {
    if (metrics::ModelBook* book = context_.engine.book()) {
      book->CountUnknown(metrics::Protocol::kGrpc, code);
    }
    return;
  }
  // Elements of the batch that the request carries.
  uint64_t batch = 1;
  if (route != nullptr && route->info != nullptr && route->info->max_batch_size > 0 &&
      !request_.inputs.empty() && request_.inputs.front().desc.rank > 0) {
    batch = static_cast<uint64_t>(std::max<int64_t>(request_.inputs.front().desc.dims[0], 1));
  }
  counters->Count({.protocol = metrics::Protocol::kGrpc,
                   .code = code,
                   .arrived_ns = whole_ns_ != 0 ? whole_ns_ : arrival_.began_ns,
                   .submitted_ns = submitted_ns,
                   .started_ns = times.started_ns,
                   .finished_ns = times.finished_ns,
                   .answered_ns = NowNanos(),
                   .batch = batch});
}

}  // namespace mlos::grpc
