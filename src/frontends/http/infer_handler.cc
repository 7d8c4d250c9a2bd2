// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_handler.h"

#include <algorithm>

#include "base/clock.h"
#include "frontends/http/infer_response.h"

namespace mlos::http {
namespace {

// Tensors of one request whose memory is kept for the next: connections are
// many, and what the largest request once took would stay with each.
constexpr size_t kKeptTensors = 64;

}  // namespace

void InferHandler::Start(std::string_view model, std::string_view version, const Body& body,
                         int64_t json_length) {
  model_ = model;
  version_ = version;
  arrived_ns_ = NowNanos();
  counters = nullptr;
  submitted_ns = 0;
  times = {};
  parsed_ = decoder_.Parse(body, json_length, &request_);
  if (!parsed_.ok()) {
    // That there is no such model is worth more than what is wrong with its request.
    if (const auto known = engine_.routes()->Find(model, version); known != nullptr) {
      if (metrics::ModelBook* book = engine_.book()) {
        counters = book->Of(known->id, known->name, known->version);
      }
      return Answer(parsed_);
    }
    request_.timeout_us = 0;
  }
  uint64_t allowed_ns = options_.default_deadline_ns;
  if (request_.timeout_us > 0) {
    allowed_ns =
        std::min(request_.timeout_us, options_.max_deadline_ns / kNanosPerMicro) * kNanosPerMicro;
  }
  deadline_ns = arrived_ns_ + allowed_ns;
  Run(Step::kResolve);
}

void InferHandler::OnProgress() { Run(step_); }

void InferHandler::Run(Step step) {
  // Enters with `step` not begun (from Start and from the end of each step) or
  // with it done (from OnProgress).
  bool done = step == step_;
  for (;;) {
    step_ = step;
    Status after;
    switch (step) {
      case Step::kResolve:
        if (!done && !engine_.Resolve(*this, model_, version_)) return;
        after = status.ok() ? AfterResolve() : status;
        step = Step::kAllocate;
        break;
      case Step::kAllocate:
        if (!done && !engine_.Allocate(*this, &plan_)) return;
        after = AfterAllocate();
        step = Step::kSubmit;
        break;
      case Step::kSubmit:
        if (!done && !engine_.Submit(*this)) return;
        after = status.ok() ? AfterSubmit() : status;
        return Answer(after);
      case Step::kIdle:
      case Step::kAnswered:
        return;
    }
    if (!after.ok()) return Answer(after);
    done = false;
  }
}

Status InferHandler::AfterResolve() {
  if (!parsed_.ok()) return parsed_;
  arrival_.request_id = request_.id.empty() ? request_id : request_.id;
  arrival_.whole_ns = arrived_ns_;
  trace_.Begin(tracer_, frontend::kHttpTrace, *route, arrival_);
  return decoder_.Plan(model_, *route->info, &request_, &plan_);
}

Status InferHandler::AfterAllocate() {
  if (!status.ok()) return status;
  MLOS_RETURN_IF_ERROR(InferDecoder::Fill(model_, request_, plan_, slot.memory));
  trace_.Inputs(*route->info, plan_, slot.memory);
  return OkStatus();
}

Status InferHandler::AfterSubmit() {
  MLOS_RETURN_IF_ERROR(Classify());
  exchange_.response().coding = answer_coding;
  return EncodeInferResponse(model_, route->version, *route->info, request_, outputs,
                             options_.max_json_response_bytes, &exchange_.response());
}

// Puts the greatest elements in the place of the outputs that they were asked of.
Status InferHandler::Classify() {
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
    const auto* labels = route->settings != nullptr && asked.index < route->settings->labels.size()
                             ? &route->settings->labels[asked.index]
                             : nullptr;
    const Status status = classifier_.Classify(
        *at, route->info->max_batch_size > 0, asked.classes,
        labels != nullptr ? std::span<const std::string>(*labels) : std::span<const std::string>(),
        &elements, &at->desc);
    if (!status.ok()) {
      return Annotate(
          status, "model " + frontend::Quote(model_) + ": output " + frontend::Quote(asked.name));
    }
    at->data = std::as_bytes(std::span(elements));
  }
  return OkStatus();
}

// Elements of the batch that the request carries.
uint64_t InferHandler::BatchSize() const {
  if (route == nullptr || route->info->max_batch_size == 0 || request_.inputs.empty()) return 1;
  const auto shape = request_.inputs.front().desc.shape();
  return shape.empty() || shape.front() < 0 ? 1 : static_cast<uint64_t>(shape.front());
}

void InferHandler::Count(StatusCode code) {
  if (counters == nullptr) {
    if (metrics::ModelBook* book = engine_.book()) {
      book->CountUnknown(metrics::Protocol::kHttp, code);
    }
    return;
  }
  counters->Count({.protocol = metrics::Protocol::kHttp,
                   .code = code,
                   .arrived_ns = arrived_ns_,
                   .submitted_ns = submitted_ns,
                   .started_ns = times.started_ns,
                   .finished_ns = times.finished_ns,
                   .answered_ns = NowNanos(),
                   .batch = BatchSize()});
}

void InferHandler::Answer(const Status& error) {
  Count(error.code());
  trace_.Answered(*this);
  const bool allocating = step_ == Step::kAllocate;
  if (!error.ok()) {
    Response& response = exchange_.response();
    response.Error(error);
    // Not "slow down" but "never": the request is larger than any channel.
    if (allocating && error.code() == StatusCode::kResourceExhausted) {
      response.status = 413;
      response.retry_after = false;
    }
  }
  if (step_ != Step::kIdle) step_ = Step::kAnswered;
  // Outputs that are sent from where they lie are kept until Release.
  if (exchange_.response().blobs.empty()) GiveBack();
  exchange_.Send();
}

void InferHandler::Release() {
  trace_.End();
  GiveBack();
}

void InferHandler::GiveBack() {
  if (step_ != Step::kIdle) {
    // Nobody waits for it any more.
    if (step_ != Step::kAnswered) Count(StatusCode::kCancelled);
    step_ = Step::kIdle;
    engine_.Finish(*this);
  }
  decoder_.Trim();
  request_.ReleaseRegions();
  if (!classified_.empty()) classified_ = {};
  if (request_.inputs.capacity() + request_.outputs.capacity() > kKeptTensors) {
    request_ = {};
    plan_ = {};
  }
}

}  // namespace mlos::http
