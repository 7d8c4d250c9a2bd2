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

// Who sends slowly must not take a channel's places and memory from others: so
// many requests, and so much, is held while contents arrive; those of others are
// kept until they are whole.
constexpr uint32_t kMostOpenFills = 64;
constexpr uint64_t kMostOpenFillBytes = 256 << 20;

Datatype TypeOf(const InferInput& input) { return static_cast<Datatype>(input.desc.datatype); }

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
  direct_ = raw_ && MayGoStraight();
  if (raw_ && !direct_) {
    stage_ = Stage::kCollect;
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
    if (input.form != Form::kElements) continue;
    const Status measured =
        MeasureContents(input.contents, TypeOf(input), CountOf(input), &input.desc.bytes);
    if (!measured.ok()) return Annotate(measured, About(input));
  }
  for (frontend::AskedOutput& output : request_.outputs) {
    MLOS_RETURN_IF_ERROR(planner.AddOutput(&output));
  }
  return OkStatus();
}

// Whether raw contents can go into the channel as they arrive.  The shapes of
// all but the first are claims, and a message that has not room for them gets no
// memory for them.
bool InferJob::MayGoStraight() const {
  uint64_t bytes = 0;
  for (const uint32_t i : raw_inputs_) {
    const InferInput& input = request_.inputs[i];
    if (input.form == Form::kUnset && TypeOf(input) == Datatype::kBytes) return false;
    bytes += std::min(input.desc.bytes, kMostOpenFillBytes + 1);
  }
  const uint64_t backed = expected_bytes_ > 0 ? expected_bytes_ : raw_sizes_.front();
  return bytes <= backed && context_.open_fills < kMostOpenFills &&
         context_.open_fill_bytes + bytes <= kMostOpenFillBytes;
}

Status InferJob::EndPlan() {
  context_.descs.clear();
  for (const InferInput& input : request_.inputs) context_.descs.push_back(input.desc);
  return context_.planner.Finish(context_.descs, request_.parameters);
}

// ---------------------------------------------------------------------- fill

StatusOr<InferJob::Turn> InferJob::Fill(const tensor::RequestPlan&, std::span<std::byte> block) {
  block_ = block;
  if (direct_) {
    stage_ = Stage::kFill;
    fill_bytes_ = block.size();
    ++context_.open_fills;
    context_.open_fill_bytes += fill_bytes_;
    return Turn::kLater;
  }
  MLOS_RETURN_IF_ERROR(FillRest());
  return Turn::kDone;
}

// It does not hold memory of the channel while it arrives, any more.
void InferJob::CloseFill() {
  if (stage_ != Stage::kFill) return;
  --context_.open_fills;
  context_.open_fill_bytes -= fill_bytes_;
}

// Raw contents are waited for, which begin now.
void InferJob::OnLater() {
  if (raw_open_) {
    if (const Status begun = BeginRaw(); !begun.ok()) return Fail(begun);
  }
  if (ended_) return FinishInput();
  if (std::exchange(waiting_, false)) owner_->OnReady(*this);
}

// What has not come to its place by itself, and a look at what has.
Status InferJob::FillRest() {
  for (const InferInput& input : request_.inputs) {
    if (const Status filled = FillOne(input); !filled.ok()) return Annotate(filled, About(input));
  }
  return OkStatus();
}

Status InferJob::FillOne(const InferInput& input) {
  const std::span<std::byte> to = MemoryOf(input);
  if (input.form == Form::kRegion) return CopyRegion(input, to);
  if (input.form == Form::kElements) return WriteContents(input.contents, TypeOf(input), to);
  if (!direct_ && !to.empty()) std::memcpy(to.data(), kept_.data() + input.raw_offset, to.size());
  return frontend::CheckElements(input.desc, to);
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
