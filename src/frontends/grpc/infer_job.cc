// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_job.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"

namespace mlos::grpc {
namespace {

using frontend::Quote;

// What a job keeps for the next one.
constexpr size_t kKeptBytes = 16 << 10;
constexpr size_t kKeptTensors = 64;

}  // namespace

void InferJob::Begin(JobOwner& owner, const Arrival& arrival) {
  owner_ = &owner;
  arrival_ = arrival;
  expected_bytes_ = 0;
  stage_ = Stage::kHead;
  error_ = OkStatus();
  ended_ = waiting_ = raw_ = raw_open_ = direct_ = planned_ = false;
  raw_count_ = 0;
  work_input_ = work_at_ = 0;
  raw_sizes_.clear();
  raw_inputs_.clear();
  kept_.Clear();
  walker_.Begin();
  request_.Clear();
}

void InferJob::LetGo() { ReleaseOutputs(); }

void InferJob::Release() {
  if (stage_ == Stage::kIdle) return;
  CloseFill();
  CallSteps::End();
  stage_ = Stage::kIdle;
  walker_.Trim(kKeptBytes);
  kept_.Clear();
  kept_.Trim(kKeptBytes);
  if (request_.inputs.capacity() + request_.outputs.capacity() > kKeptTensors) {
    request_ = {};
  } else {
    request_.Clear();
  }
  if (reserved_ > 0) owner_->Unreserve(std::exchange(reserved_, 0));
}

size_t InferJob::Take(std::span<const std::byte> data) {
  size_t used = 0;
  while (stage_ != Stage::kAnswered && stage_ != Stage::kIdle) {
    // Raw contents have begun, and the model or the memory is not there yet.
    if (stage_ == Stage::kEngine || stage_ == Stage::kWork) {
      waiting_ = used < data.size();
      return used;
    }
    if (raw_open_ && stage_ == Stage::kHead) {
      Start();
      continue;
    }
    switch (walker_.Next(data, &used)) {
      case MessageWalker::Found::kNeedMore:
        Account();
        return used;
      case MessageWalker::Found::kField:
        raw_ = raw_open_ = true;
        raw_bytes_ = 0;
        raw_sizes_.push_back(walker_.size());
        ++raw_count_;
        if (stage_ == Stage::kHead) break;
        if (const Status begun = BeginRaw(); !begun.ok()) Fail(begun);
        break;
      case MessageWalker::Found::kFieldData: {
        const std::span<const std::byte> piece = walker_.piece();
        walker_.Took(piece.size());
        used += piece.size();
        if (const Status taken = TakeRaw(piece); !taken.ok()) Fail(taken);
        break;
      }
      case MessageWalker::Found::kFieldEnd:
        raw_open_ = false;
        if (const Status whole = EndRaw(); !whole.ok()) Fail(whole);
        break;
      case MessageWalker::Found::kLate:
        // To wait for these would mean to keep every tensor.
        Fail(
            InvalidArgument("the message has other fields behind raw_input_contents: write it in "
                            "the order of the fields' numbers"));
        break;
      case MessageWalker::Found::kBad:
        Fail(InvalidArgument("the message is no ModelInferRequest: it is damaged"));
        break;
    }
  }
  return data.size();
}

// A few bytes can be an input, which takes a few hundred once it is decoded.
uint64_t InferJob::Kept() const {
  return walker_.rest().capacity() + kept_.capacity() +
         request_.inputs.capacity() * sizeof(InferInput) +
         request_.outputs.capacity() * sizeof(frontend::AskedOutput);
}

// What is kept is counted where it is much; false: that was its end.
bool InferJob::Account() {
  const uint64_t kept = Kept();
  if (kept <= std::max(reserved_, arrival_.free_bytes)) return true;
  if (!owner_->Reserve(kept - reserved_)) {
    Fail(ResourceExhausted("too many large requests at once: try again"));
    return false;
  }
  reserved_ = kept;
  return true;
}

// Of one that has failed only the id is still of use.
void InferJob::Shrink() {
  kept_.Trim(0);
  request_.inputs = {};
  request_.outputs = {};
  const uint64_t kept = Kept();
  if (kept < reserved_) owner_->Unreserve(std::exchange(reserved_, kept) - kept);
}

void InferJob::End() {
  ended_ = true;
  FinishInput();
}

void InferJob::FinishInput() {
  Take({});  // contents of no bytes may still be open
  if (stage_ != Stage::kHead && stage_ != Stage::kCollect && stage_ != Stage::kFill) {
    return;  // over, or OnLater goes on
  }
  if (!walker_.complete() || raw_open_) {
    return Fail(InvalidArgument("the message is no ModelInferRequest: it is cut off"));
  }
  if (stage_ == Stage::kHead) return Start();
  Status known = CheckRawCount();
  if (known.ok() && stage_ == Stage::kCollect) {
    known = AddTensors();
    if (known.ok()) known = EndPlan();
    if (known.ok()) return GoOn();
  }
  if (!known.ok()) return Fail(known);
  Work();
}

// The request is whole, or here as far as its raw contents.
void InferJob::Start() {
  const Status decoded = DecodeInferRequest(walker_.rest().view(), &request_);
  walker_.Seal();
  stage_ = Stage::kEngine;
  if (!Account()) return;
  CallSteps::Begin({.model = request_.model,
                    .version = request_.version,
                    .fault = decoded,
                    .whole = ended_,
                    .began_ns = arrival_.began_ns,
                    .arrived_ns = NowNanos(),
                    .timeout_us = request_.timeout_us,
                    .client_deadline_ns = arrival_.deadline_ns,
                    .request_id = arrival_.request_id,
                    .client_id = request_.id,
                    .traceparent = arrival_.traceparent});
}

void InferJob::GoOn() {
  stage_ = Stage::kEngine;
  Continue(OkStatus());
}

// Of what is not decoded nothing is known but that.
void InferJob::Fail(const Status& fault) {
  if (waits()) return Continue(fault);
  stage_ = Stage::kEngine;
  CallSteps::Begin({.model = request_.model,
                    .version = request_.version,
                    .fault = fault,
                    .began_ns = arrival_.began_ns,
                    .arrived_ns = NowNanos(),
                    .request_id = arrival_.request_id,
                    .client_id = request_.id,
                    .traceparent = arrival_.traceparent});
}

Status InferJob::CheckRawCount() const {
  if (raw_count_ == raw_inputs_.size()) return OkStatus();
  return InvalidArgument("model " + Quote(request_.model) + ": " + std::to_string(raw_count_) +
                         " raw_input_contents are given for " + std::to_string(raw_inputs_.size()) +
                         " inputs: each that does not lie in shared memory needs one");
}

// The size of one is known, and the model.
Status InferJob::BeginRaw() {
  if (raw_count_ > raw_inputs_.size()) return CheckRawCount();
  InferInput& input = request_.inputs[raw_inputs_[raw_count_ - 1]];
  input.form = frontend::Form::kBinary;
  input.given_bytes = raw_sizes_.back();
  input.raw_offset = kept_.size();
  MLOS_RETURN_IF_ERROR(CheckSize(request_.model, &input));
  checker_ = frontend::ElementChecker(input.desc);
  return OkStatus();
}

Status InferJob::TakeRaw(std::span<const std::byte> piece) {
  const InferInput& input = request_.inputs[raw_inputs_[raw_count_ - 1]];
  if (stage_ == Stage::kFill) {
    std::memcpy(MemoryOf(input).data() + raw_bytes_, piece.data(), piece.size());
  } else {
    kept_.Append({reinterpret_cast<const char*>(piece.data()), piece.size()});
    if (!Account()) return OkStatus();  // that was its end
  }
  raw_bytes_ += piece.size();
  const Status good = checker_.Take(piece);
  return good.ok() ? good : Annotate(good, About(input));
}

Status InferJob::EndRaw() {
  Status whole = checker_.End();
  if (whole.ok()) return whole;
  return Annotate(whole, About(request_.inputs[raw_inputs_[raw_count_ - 1]]));
}

}  // namespace mlos::grpc
