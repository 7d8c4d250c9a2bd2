// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_job.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"

namespace mlos::grpc {
namespace {

using frontend::Quote;
using tensor::Datatype;

// What a job keeps for the next one.
constexpr size_t kKeptBytes = 16 << 10;
constexpr size_t kKeptTensors = 64;

}  // namespace

void InferJob::Begin(JobOwner& owner, const Arrival& arrival) {
  owner_ = &owner;
  arrival_ = arrival;
  expected_bytes_ = 0;
  request_id = arrival.request_id;
  stage_ = Stage::kHead;
  error_ = OkStatus();
  counters = nullptr;
  submitted_ns = whole_ns_ = 0;
  times = {};
  ended_ = waiting_ = raw_ = raw_open_ = direct_ = traced_ = false;
  raw_count_ = 0;
  raw_sizes_.clear();
  raw_inputs_.clear();
  kept_.Clear();
  walker_.Begin();
  request_.Clear();
}

void InferJob::LetGo() {
  answer_.clear();
  if (std::exchange(held_, false)) context_.engine.Finish(*this);
}

void InferJob::Release() {
  if (stage_ == Stage::kIdle) return;
  // Nobody waits for it any more.
  if (stage_ != Stage::kAnswered) Count(StatusCode::kCancelled);
  CloseFill();
  LetGo();
  trace_.End();
  stage_ = Stage::kIdle;
  walker_.Trim(kKeptBytes);
  kept_.Clear();
  kept_.Trim(kKeptBytes);
  if (request_.inputs.capacity() + request_.outputs.capacity() > kKeptTensors) {
    request_ = {};
    plan_ = {};
  } else {
    request_.Clear();
  }
  classified_.clear();
  if (reserved_ > 0) owner_->Unreserve(std::exchange(reserved_, 0));
}

// --------------------------------------------------------------- what arrives

size_t InferJob::Take(std::span<const std::byte> data) {
  size_t used = 0;
  while (stage_ != Stage::kAnswered && stage_ != Stage::kIdle) {
    // Raw contents have begun, and the model or the memory is not there yet.
    if (stage_ == Stage::kResolve || stage_ == Stage::kAllocate) {
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
        if (stage_ != Stage::kHead) BeginRaw();
        break;
      case MessageWalker::Found::kFieldData: {
        const size_t taken = TakeRaw(walker_.piece());
        walker_.Took(taken);
        used += taken;
        break;
      }
      case MessageWalker::Found::kFieldEnd:
        raw_open_ = false;
        break;
      case MessageWalker::Found::kLate:
        // To wait for these would mean to keep every tensor.
        Answer(InvalidArgument(
            "the message has other fields behind raw_input_contents: write it in the order of "
            "the fields' numbers"));
        break;
      case MessageWalker::Found::kBad:
        Answer(InvalidArgument("the message is no ModelInferRequest: it is damaged"));
        break;
    }
  }
  return data.size();
}

// A few bytes can be an input, which takes a few hundred once it is decoded.
uint64_t InferJob::Kept() const {
  return walker_.rest().capacity() + kept_.capacity() +
         request_.inputs.capacity() * sizeof(InferInput) +
         request_.outputs.capacity() * sizeof(InferOutput);
}

// What is kept is counted where it is much; false: that was its end.
bool InferJob::Account() {
  const uint64_t kept = Kept();
  if (kept <= std::max(reserved_, arrival_.free_bytes)) return true;
  if (!owner_->Reserve(kept - reserved_)) {
    Answer(ResourceExhausted("too many large requests at once: try again"));
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
  whole_ns_ = NowNanos();
  if (traced_) trace_.Whole(whole_ns_);
  FinishInput();
}

void InferJob::FinishInput() {
  Take({});  // contents of no bytes may still be open
  switch (stage_) {
    case Stage::kIdle:
    case Stage::kAnswered:
    case Stage::kRun:
    case Stage::kResolve:
    case Stage::kAllocate:
      return;  // over, or OnProgress goes on
    case Stage::kHead:
    case Stage::kCollect:
    case Stage::kFill:
      break;
  }
  if (!walker_.complete() || raw_open_) {
    return Answer(InvalidArgument("the message is no ModelInferRequest: it is cut off"));
  }
  if (stage_ == Stage::kHead) return Start();
  if (const Status status = CheckRawCount(); !status.ok()) return Answer(status);
  if (stage_ == Stage::kFill) return Submit();
  if (const Status status = Collected(); !status.ok()) return Answer(status);
  Allocate();
}

Status InferJob::CheckRawCount() const {
  if (raw_count_ == raw_inputs_.size()) return OkStatus();
  return InvalidArgument("model " + Quote(request_.model) + ": " + std::to_string(raw_count_) +
                         " raw_input_contents are given for " + std::to_string(raw_inputs_.size()) +
                         " inputs: each that does not lie in shared memory needs one");
}

// The size of one is known, and the model.  False: that was its end.
bool InferJob::BeginRaw() {
  if (raw_count_ > raw_inputs_.size()) {
    Answer(CheckRawCount());
    return false;
  }
  InferInput& input = request_.inputs[raw_inputs_[raw_count_ - 1]];
  const uint64_t bytes = raw_sizes_.back();
  if (static_cast<Datatype>(input.desc.datatype) == Datatype::kBytes) input.desc.bytes = bytes;
  if (const Status status = CheckRawSize(input, bytes); !status.ok()) {
    Answer(status);
    return false;
  }
  input.raw_offset = kept_.size();
  return true;
}

size_t InferJob::TakeRaw(std::span<const std::byte> piece) {
  if (stage_ == Stage::kCollect) {
    kept_.Append({reinterpret_cast<const char*>(piece.data()), piece.size()});
    raw_bytes_ += piece.size();
    Account();
    return piece.size();
  }
  const InferInput& input = request_.inputs[raw_inputs_[raw_count_ - 1]];
  std::memcpy(MemoryOf(input).data() + raw_bytes_, piece.data(), piece.size());
  raw_bytes_ += piece.size();
  return piece.size();
}

// ------------------------------------------------------------------ the steps

void InferJob::Start() {
  decoded_ = DecodeInferRequest(walker_.rest().view(), &request_);
  walker_.Seal();
  if (!Account()) return;
  const GrpcOptions& options = context_.options;
  uint64_t allowed_ns = options.default_deadline_ns;
  if (request_.timeout_us > 0) {
    allowed_ns =
        std::min(request_.timeout_us, options.max_deadline_ns / kNanosPerMicro) * kNanosPerMicro;
  } else if (arrival_.deadline_ns != 0) {
    allowed_ns = options.max_deadline_ns;
  }
  deadline_ns = NowNanos() + allowed_ns;
  if (arrival_.deadline_ns != 0) deadline_ns = std::min(deadline_ns, arrival_.deadline_ns);
  // That there is no such model is worth more than what is wrong with its request.
  if (!decoded_.ok()) {
    const auto known = context_.engine.routes()->Find(request_.model, request_.version);
    if (known != nullptr || request_.model.empty()) {
      if (metrics::ModelBook* book = context_.engine.book(); known != nullptr && book != nullptr) {
        counters = book->Of(known->id, known->name, known->version);
      }
      return Answer(decoded_);
    }
  }
  stage_ = Stage::kResolve;
  held_ = true;
  if (context_.engine.Resolve(*this, request_.model, request_.version)) OnProgress();
}

void InferJob::OnProgress() {
  if (!status.ok()) return Answer(status);
  switch (stage_) {
    case Stage::kResolve:
      return Resolved();
    case Stage::kAllocate:
      return Allocated();
    case Stage::kRun:
      return Answer(TakeOutputs());
    default:
      return;
  }
}

void InferJob::Resolved() {
  BeginTrace();
  Status planned = decoded_;
  if (planned.ok()) planned = PlanInputs();
  if (planned.ok()) planned = PlanOutputs();
  if (planned.ok()) planned = PlaceRaw();
  if (!planned.ok()) return Answer(planned);
  if (!raw_ || direct_) {
    if (const Status status = FinishPlan(); !status.ok()) return Answer(status);
    return Allocate();
  }
  stage_ = Stage::kCollect;
  if (raw_open_ && !BeginRaw()) return;
  if (ended_) return FinishInput();
  if (std::exchange(waiting_, false)) owner_->OnReady(*this);
}

void InferJob::Allocate() {
  stage_ = Stage::kAllocate;
  if (context_.engine.Allocate(*this, &plan_)) OnProgress();
}

void InferJob::Allocated() {
  if (!direct_) {
    if (const Status filled = Fill(); !filled.ok()) return Answer(filled);
    return Submit();
  }
  stage_ = Stage::kFill;
  OpenFill();
  if (raw_open_ && !BeginRaw()) return;
  if (ended_) return FinishInput();
  if (std::exchange(waiting_, false)) owner_->OnReady(*this);
}

void InferJob::OpenFill() {
  fill_bytes_ = slot.memory.size();
  ++context_.open_fills;
  context_.open_fill_bytes += fill_bytes_;
}

// It does not hold memory of the channel while it arrives, any more.
void InferJob::CloseFill() {
  if (stage_ != Stage::kFill) return;
  --context_.open_fills;
  context_.open_fill_bytes -= fill_bytes_;
}

void InferJob::Submit() {
  if (direct_) {
    if (const Status filled = Fill(); !filled.ok()) return Answer(filled);
  }
  CloseFill();
  stage_ = Stage::kRun;
  trace_.Inputs(info(), plan_, slot.memory);
  if (context_.engine.Submit(*this)) OnProgress();
}

}  // namespace mlos::grpc
