// SPDX-License-Identifier: Apache-2.0
#include "frontends/ipc/infer_call.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/json.h"
#include "frontends/common/infer_plan.h"
#include "frontends/common/request_context.h"

namespace mlos::ipc {
namespace {

// Copied and looked at before others have their turn: well under a millisecond.
constexpr uint64_t kSlice = 512 << 10;
// Kept from one request to the next, without being counted; of the tensors: so many.
constexpr size_t kKeptBytes = 4 << 10;
constexpr size_t kKeptTensors = 64;

// What a model is given beside its tensors; models parse it with readers of their own.
Status CheckParameters(std::string_view text) {
  if (text.empty()) return OkStatus();
  const auto value = ParseJson(text);
  if (!value.ok()) return Annotate(value.status(), "the parameters are not valid JSON");
  return value->is_object() ? OkStatus() : InvalidArgument("the parameters are no JSON object");
}

}  // namespace

std::string InferCall::About(const frontend::GivenInput& input) const {
  return "model " + frontend::Quote(ask_.model) + ": input " + frontend::Quote(input.name);
}

void InferCall::Begin(Buffer* payload) {
  payload_.Swap(*payload);
  const uint64_t now = NowNanos();
  const Status fault = Read(payload_.view());
  const std::string_view id = frontend::IsRequestId(ask_.id) ? ask_.id : std::string_view();
  CallSteps::Begin({.model = ask_.model,
                    .version = ask_.version,
                    .fault = fault,
                    .began_ns = now,
                    .arrived_ns = now,
                    .timeout_us = ask_.timeout_us,
                    .request_id = id,
                    .client_id = ask_.id});
}

Status InferCall::Read(std::string_view payload) {
  inputs_.clear();
  outputs_.clear();
  MLOS_RETURN_IF_ERROR(Decode(payload, &ask_));
  if (ask_.model.empty()) return InvalidArgument("the request names no model");
  for (const WireTensor& tensor : ask_.inputs) {
    frontend::GivenInput& input = inputs_.emplace_back();
    input.name = tensor.name;
    input.form = frontend::Form::kBinary;
    input.given_bytes = tensor.bytes;
    input.desc.datatype = tensor.datatype;
    input.desc.rank = tensor.rank;
    std::copy_n(tensor.dims, tensor.rank, input.desc.dims);
  }
  for (const WantedOutput& wanted : ask_.outputs) {
    frontend::AskedOutput& output = outputs_.emplace_back();
    output.name = wanted.name;
    output.form = frontend::Form::kBinary;
    output.classes = wanted.classes;
  }
  for (const frontend::GivenInput& input : inputs_) {
    if (!tensor::IsKnown(static_cast<tensor::Datatype>(input.desc.datatype))) {
      return InvalidArgument(About(input) + " has datatype " + std::to_string(input.desc.datatype) +
                             ", which is none");
    }
  }
  return CheckParameters(ask_.parameters);
}

StatusOr<InferCall::Turn> InferCall::Plan(const engine::ModelRoute& route,
                                          tensor::RequestPlan* plan) {
  frontend::CallPlanner& planner = context_.planner;
  MLOS_RETURN_IF_ERROR(planner.Begin(ask_.model, *route.info, false, plan));
  context_.descs.clear();
  for (frontend::GivenInput& input : inputs_) {
    MLOS_RETURN_IF_ERROR(planner.AddInput(&input));
    context_.descs.push_back(input.desc);
  }
  for (frontend::AskedOutput& output : outputs_) {
    MLOS_RETURN_IF_ERROR(planner.AddOutput(&output));
  }
  MLOS_RETURN_IF_ERROR(planner.Finish(context_.descs, ask_.parameters));
  Ask(outputs_);
  return Turn::kDone;
}

StatusOr<InferCall::Turn> InferCall::Fill(const tensor::RequestPlan& plan,
                                          std::span<std::byte> block) {
  plan_ = &plan;
  block_ = block;
  input_ = 0;
  at_ = 0;
  MLOS_ASSIGN_OR_RETURN(const bool filled, FillSome());
  return filled ? Turn::kDone : Turn::kLater;
}

// A slice of it; true: that was all.
StatusOr<bool> InferCall::FillSome() {
  uint64_t budget = kSlice;
  for (; input_ < inputs_.size(); ++input_, at_ = 0) {
    const frontend::GivenInput& input = inputs_[input_];
    const std::span<std::byte> to = frontend::PlaceOf(*plan_, input.desc.index, block_);
    const auto* from = reinterpret_cast<const std::byte*>(payload_.data() + ask_.inputs[input_].at);
    if (at_ == 0) checker_ = frontend::ElementChecker(input.desc);
    do {
      const auto part = std::min<uint64_t>(to.size() - at_, budget);
      if (part > 0) {
        const Status good = checker_.Take({from + at_, part});
        if (!good.ok()) return Annotate(good, About(input));
        std::memcpy(to.data() + at_, from + at_, part);
      }
      at_ += part;
      budget -= part;
      if (budget == 0) return false;
    } while (at_ < to.size());
    if (const Status whole = checker_.End(); !whole.ok()) return Annotate(whole, About(input));
  }
  return true;
}

void InferCall::OnLater() {
  turn_ = std::make_shared<int>(0);
  context_.loop.Post([this, alive = std::weak_ptr<int>(turn_)] {
    if (alive.expired()) return;
    const StatusOr<bool> filled = FillSome();
    if (filled.ok() && !*filled) return OnLater();
    turn_.reset();
    Continue(filled.status());
  });
}

// In Deliver it is sent, from where it lies.
Status InferCall::Encode(const Status& status, bool never) {
  error_ = status.ok() ? EncodeAnswer() : status;
  if (never) error_ = InvalidArgument(Message(error_));
  if (error_.ok()) KeepOutputs();
  return error_;
}

Status InferCall::EncodeAnswer() {
  answer_text_.version = model().version;
  answer_text_.outputs.clear();
  pieces_.clear();
  for (const frontend::AnswerTensor& answered : answer()) {
    const engine::OutputTensor& tensor = *answered.tensor;
    WireTensor& out = answer_text_.outputs.emplace_back();
    out.name = model().info->outputs[tensor.desc.index].name;
    out.datatype = tensor.desc.datatype;
    out.rank = tensor.desc.rank;
    std::copy_n(tensor.desc.dims, tensor.desc.rank, out.dims);
    out.bytes = tensor.data.size();
    pieces_.push_back(tensor.data);
  }
  head_.Clear();
  if (EncodeHead(answer_text_, &head_)) return OkStatus();
  return ResourceExhausted("the names and shapes of the outputs are larger than an answer can be");
}

void InferCall::Deliver() {
  // Fail and Answer release this call.
  if (!error_.ok()) return owner_.Fail(*this, error_, {});
  owner_.Answer(*this, Tell::kOutputs, head_.view(), pieces_);
}

void InferCall::Release() {
  turn_.reset();
  End();
  plan_ = nullptr;
  block_ = {};
  payload_.Clear();
  payload_.Trim(kKeptBytes);
  head_.Trim(kKeptBytes);
  pieces_.clear();
  ask_.Clear();
  if (inputs_.capacity() + outputs_.capacity() > kKeptTensors) {
    inputs_ = {};
    outputs_ = {};
    ask_ = {};
    answer_text_ = {};
  }
}

}  // namespace mlos::ipc
