// SPDX-License-Identifier: Apache-2.0
//
// The part of InferJob that goes from what was asked for to the model's tensors,
// and to the answer.
#include <algorithm>
#include <cstring>

#include "frontends/grpc/infer_contents.h"
#include "frontends/grpc/infer_job.h"

namespace mlos::grpc {
namespace {

using frontend::Form;
using frontend::Quote;
using tensor::Datatype;

Datatype TypeOf(const InferInput& input) { return static_cast<Datatype>(input.desc.datatype); }

bool IsBytes(const InferInput& input) { return TypeOf(input) == Datatype::kBytes; }

uint64_t CountOf(const InferInput& input) {
  uint64_t count = 0;
  tensor::ElementCount(input.desc.shape(), &count);
  return count;
}

}  // namespace

std::string InferJob::About(const InferInput& input) const {
  return "model " + Quote(request_.model) + ": input " + Quote(input.name);
}

// ---------------------------------------------------------------------- plan

StatusOr<InferJob::Turn> InferJob::Plan(const engine::ModelRoute&, tensor::RequestPlan* plan) {
  plan_ = plan;
  if (raw_) MLOS_RETURN_IF_ERROR(FindRaw());
  MLOS_RETURN_IF_ERROR(AddTensors());
  Ask(request_.outputs);
  direct_ = raw_ && GoesStraight();
  if (raw_ && !direct_) {
    stage_ = Stage::kCollect;
    return Turn::kLater;
  }
  uint64_t budget = kWorkSlice;
  MLOS_ASSIGN_OR_RETURN(const bool measured, Measure(&budget));
  if (!measured) {
    stage_ = Stage::kWork;
    return Turn::kLater;
  }
  MLOS_RETURN_IF_ERROR(EndPlan());
  return Turn::kDone;
}

// Which inputs the raw contents are of.  The first has begun.
Status InferJob::FindRaw() {
  for (uint32_t i = 0; i < request_.inputs.size(); ++i) {
    InferInput& input = request_.inputs[i];
    if (input.form == Form::kElements) {
      return InvalidArgument(About(input) +
                             " has contents although there are raw_input_contents: give all "
                             "inputs in one of the two forms");
    }
    if (input.form == Form::kRegion) continue;
    if (raw_inputs_.empty()) {
      input.form = Form::kBinary;
      input.given_bytes = raw_sizes_.front();
    }
    raw_inputs_.push_back(i);
  }
  return OkStatus();
}

// All that is known so far; another request may have been planned since the last time.
Status InferJob::AddTensors() {
  frontend::CallPlanner& planner = context_.planner;
  MLOS_RETURN_IF_ERROR(planner.Begin(request_.model, *model().info, request_.in_sequence, plan_));
  for (InferInput& input : request_.inputs) {
    if (!raw_ && input.form == Form::kUnset) input.form = Form::kElements;
    MLOS_RETURN_IF_ERROR(planner.AddInput(&input));
    if (input.form == Form::kElements && IsBytes(input)) input.desc.bytes = input.given_bytes;
  }
  for (frontend::AskedOutput& output : request_.outputs) {
    MLOS_RETURN_IF_ERROR(planner.AddOutput(&output));
  }
  return OkStatus();
}

// Whether raw contents go into the channel as they arrive.  The shapes of all
// but the first are claims, and a message that has not room for them gets no
// memory for them.
bool InferJob::GoesStraight() {
  uint64_t bytes = 0;
  for (const uint32_t i : raw_inputs_) {
    const InferInput& input = request_.inputs[i];
    if (input.form == Form::kUnset && IsBytes(input)) return false;
    bytes += std::min(input.desc.bytes, OpenFills::kMostBytes + 1);
  }
  const uint64_t backed = expected_bytes_ > 0 ? expected_bytes_ : raw_sizes_.front();
  if (bytes > backed || !context_.fills.Take(owner_->connection(), bytes)) return false;
  filling_ = true;
  fill_bytes_ = bytes;
  return true;
}

// What typed contents take.  False: not known yet.
StatusOr<bool> InferJob::Measure(uint64_t* budget) {
  for (; work_input_ < request_.inputs.size(); ++work_input_) {
    InferInput& input = request_.inputs[work_input_];
    if (input.form != Form::kElements) continue;
    Status begun;
    if (std::exchange(work_at_, 1) == 0) begun = Open(input);
    if (!begun.ok()) return Annotate(begun, About(input));
    const StatusOr<bool> measured = contents_.Measure(budget);
    if (!measured.ok()) return Annotate(measured.status(), About(input));
    if (!*measured) return false;
    input.given_bytes = contents_.bytes();
    if (IsBytes(input)) input.desc.bytes = input.given_bytes;
    work_at_ = 0;
  }
  work_input_ = 0;
  return true;
}

Status InferJob::Open(const InferInput& input) {
  return contents_.Begin(input.contents, TypeOf(input), CountOf(input));
}

Status InferJob::EndPlan() {
  context_.descs.clear();
  for (const InferInput& input : request_.inputs) context_.descs.push_back(input.desc);
  planned_ = true;
  return context_.planner.Finish(context_.descs, request_.parameters);
}

// ---------------------------------------------------------------------- fill

StatusOr<InferJob::Turn> InferJob::Fill(const tensor::RequestPlan&, std::span<std::byte> block) {
  block_ = block;
  if (direct_) {
    stage_ = Stage::kFill;
    return Turn::kLater;
  }
  uint64_t budget = kWorkSlice;
  MLOS_ASSIGN_OR_RETURN(const bool filled, FillSome(&budget));
  if (filled) return Turn::kDone;
  stage_ = Stage::kWork;
  return Turn::kLater;
}

// It does not hold memory of the channel while it arrives, any more.
void InferJob::CloseFill() {
  if (std::exchange(filling_, false)) context_.fills.Give(owner_->connection(), fill_bytes_);
}

// Raw contents are waited for, which begin now; or there is more work.
void InferJob::OnLater() {
  if (stage_ == Stage::kWork) return owner_->Later(*this);
  if (raw_open_) {
    if (const Status begun = BeginRaw(); !begun.ok()) return Fail(begun);
  }
  if (ended_) return FinishInput();
  if (std::exchange(waiting_, false)) owner_->OnReady(*this);
}

void InferJob::TakeTurn() {
  if (stage_ == Stage::kWork) Work();
}

// A slice of it.
void InferJob::Work() {
  uint64_t budget = kWorkSlice;
  const StatusOr<bool> done = planned_ ? FillSome(&budget) : Measure(&budget);
  Status status = done.status();
  if (status.ok() && !*done) {
    stage_ = Stage::kWork;
    return owner_->Later(*this);
  }
  if (status.ok() && !planned_) status = AddTensors();
  if (status.ok() && !planned_) status = EndPlan();
  if (!status.ok()) return Fail(status);
  CloseFill();
  GoOn();
}

// What has not come to its place by itself.  False: not all of it yet.
StatusOr<bool> InferJob::FillSome(uint64_t* budget) {
  for (; work_input_ < request_.inputs.size(); ++work_input_) {
    if (*budget == 0) return false;
    const InferInput& input = request_.inputs[work_input_];
    const StatusOr<bool> filled = FillOne(input, budget);
    if (!filled.ok()) return Annotate(filled.status(), About(input));
    if (!*filled) return false;
    work_at_ = 0;
  }
  return true;
}

StatusOr<bool> InferJob::FillOne(const InferInput& input, uint64_t* budget) {
  if (direct_ && input.form == Form::kBinary) return true;  // it went there as it came
  const std::span<std::byte> to = MemoryOf(input);
  if (input.form == Form::kRegion) {
    Spend(WorkOfCopy(to.size()), budget);
    MLOS_RETURN_IF_ERROR(CopyRegion(input, to));
    return true;
  }
  if (input.form == Form::kElements) {
    if (std::exchange(work_at_, 1) == 0) {
      MLOS_RETURN_IF_ERROR(Open(input));
      contents_.Rewind(to);
    }
    return contents_.Write(budget);
  }
  if (to.empty()) return true;
  const size_t part = std::min(to.size() - work_at_, static_cast<size_t>(CopyOfWork(*budget)));
  std::memcpy(to.data() + work_at_, kept_.data() + input.raw_offset + work_at_, part);
  work_at_ += part;
  Spend(WorkOfCopy(part), budget);
  return work_at_ == to.size();
}

std::span<std::byte> InferJob::MemoryOf(const InferInput& input) const {
  return frontend::PlaceOf(*plan_, input.desc.index, block_);
}

// -------------------------------------------------------------------- answer

// The owner encodes it, when those before it are sent.
Status InferJob::Encode(const Status& status, bool) {
  CloseFill();
  stage_ = Stage::kAnswered;
  error_ = status;
  if (status.ok()) KeepOutputs();
  return status;
}

void InferJob::Deliver() {
  if (!error_.ok()) Shrink();
  owner_->OnAnswer(*this);
  // Whatever still arrives of it is passed over.
  if (!error_.ok() && stage_ == Stage::kAnswered && std::exchange(waiting_, false)) {
    owner_->OnReady(*this);
  }
}

}  // namespace mlos::grpc
