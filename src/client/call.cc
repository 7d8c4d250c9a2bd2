// SPDX-License-Identifier: Apache-2.0
#include "client/call.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"

namespace mlos::client {

// ------------------------------------------------------------------ preparing

Status Call::Prepare(std::span<Input> inputs, std::span<const uint32_t> outputs,
                     std::string_view parameters, uint64_t deadline_ns) {
  if (!Idle()) return FailedPrecondition("the call is under way: wait for it, or cancel it first");
  uint64_t bytes = 0;
  MLOS_RETURN_IF_ERROR(Plan(inputs, outputs, parameters, &bytes));
  LetGo();
  MLOS_RETURN_IF_ERROR(model_.Begin(this, bytes, deadline_ns, &slot_));
  state_ = State::kReady;
  tensor::WriteRequest(plan_, slot_.block.segment, slot_.block.offset, slot_.memory);
  for (const tensor::TensorDesc& desc : plan_.inputs) {
    for (Input& input : inputs) {
      if (input.index == desc.index) input.data = slot_.memory.data() + desc.offset;
    }
  }
  return OkStatus();
}

Status Call::CheckInputs(std::span<Input> inputs) const {
  const auto& declared = model_.description().inputs;
  std::vector<bool> given(declared.size());
  for (Input& input : inputs) {
    if (input.index >= declared.size()) {
      return InvalidArgument(fmt::format("there is no input {}: model \"{}\" has {}", input.index,
                                         model_.description().name, declared.size()));
    }
    const TensorInfo& info = declared[input.index];
    if (given[input.index]) {
      return InvalidArgument(fmt::format("input \"{}\" is given twice", info.name));
    }
    given[input.index] = true;
    if (!tensor::Matches(info.shape, input.dims)) {
      return InvalidArgument(fmt::format("input \"{}\" has the shape {}, not {}", info.name,
                                         tensor::ShapeText(info.shape),
                                         tensor::ShapeText(input.dims)));
    }
    uint64_t elements = 0;
    const bool counted = info.datatype == tensor::Datatype::kBytes
                             ? tensor::ElementCount(input.dims, &elements)
                             : tensor::ByteSize(info.datatype, input.dims, &input.bytes);
    if (!counted) {
      return InvalidArgument(fmt::format("input \"{}\": no tensor can have the shape {}", info.name,
                                         tensor::ShapeText(input.dims)));
    }
  }
  for (size_t i = 0; i < declared.size(); ++i) {
    if (given[i] || declared[i].optional) continue;
    return InvalidArgument(fmt::format("input \"{}\" is missing", declared[i].name));
  }
  return OkStatus();
}

Status Call::Plan(std::span<Input> inputs, std::span<const uint32_t> outputs,
                  std::string_view parameters, uint64_t* bytes) {
  MLOS_RETURN_IF_ERROR(CheckInputs(inputs));
  plan_.Clear();
  for (const Input& input : inputs) {
    tensor::TensorDesc& desc = plan_.inputs.emplace_back();
    desc.index = input.index;
    desc.datatype = static_cast<uint32_t>(model_.description().inputs[input.index].datatype);
    desc.rank = static_cast<uint32_t>(input.dims.size());
    std::copy(input.dims.begin(), input.dims.end(), desc.dims);
    desc.bytes = input.bytes;
  }
  std::sort(plan_.inputs.begin(), plan_.inputs.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  plan_.outputs.assign(outputs.begin(), outputs.end());
  std::sort(plan_.outputs.begin(), plan_.outputs.end());
  plan_.outputs.erase(std::unique(plan_.outputs.begin(), plan_.outputs.end()), plan_.outputs.end());
  if (!plan_.outputs.empty() && plan_.outputs.back() >= model_.description().outputs.size()) {
    return InvalidArgument(fmt::format("there is no output {}: model \"{}\" has {}",
                                       plan_.outputs.back(), model_.description().name,
                                       model_.description().outputs.size()));
  }
  if (parameters.size() > tensor::kMaxParameterBytes) {
    return InvalidArgument(fmt::format("parameters have at most {} bytes, not {}",
                                       tensor::kMaxParameterBytes, parameters.size()));
  }
  plan_.parameters = parameters;
  if (!tensor::LayOutRequest(&plan_, bytes)) {
    return ResourceExhausted("the request is larger than a channel can be");
  }
  wanted_.assign(plan_.outputs.begin(), plan_.outputs.end());
  return OkStatus();
}

// The entry goes back; what is under way is cancelled, and its answer is dropped.
void Call::LetGo() {
  channel::Producer& producer = model_.producer();
  switch (state_) {
    case State::kBlank:
      return;
    case State::kReady:
      producer.Abandon(slot_);
      break;
    case State::kRunning:
    case State::kLeft:
      producer.Cancel(slot_.entry);
      break;
    case State::kDone:
      producer.Release(slot_.entry);
      break;
  }
  model_.SetOwner(slot_.entry, nullptr);
  state_ = State::kBlank;
  pending_ = false;
  outcome_.reset();
  outputs_.clear();
}

// -------------------------------------------------------------------- running

Status Call::Submit(uint64_t deadline_ns) {
  if (state_ == State::kBlank) return FailedPrecondition("the call has not been prepared");
  if (state_ == State::kRunning) {
    return FailedPrecondition("the call is under way: wait for it, or cancel it first");
  }
  model_.TryAgain();
  if (state_ == State::kLeft) {
    MLOS_RETURN_IF_ERROR(model_.Drive(deadline_ns, [this] { return state_ != State::kLeft; }));
  }
  channel::Producer& producer = model_.producer();
  if (state_ == State::kDone) producer.Reuse(slot_.entry);
  outcome_.reset();
  pending_ = true;
  deadline_ns_ = deadline_ns;
  state_ = State::kRunning;
  channel::Submission submission;  // the rest says the core, when it passes the channel on
  submission.deadline_ns = deadline_ns;
  producer.Submit(slot_, submission);
  return OkStatus();
}

Status Call::Wait() {
  if (!pending_) return FailedPrecondition("the call has not been submitted");
  const Status driven = model_.Drive(deadline_ns_, [this] { return outcome_.has_value(); });
  if (!driven.ok()) {
    Leave();
    outcome_ = driven;
  }
  pending_ = false;
  return *outcome_;
}

bool Call::Done() {
  if (!pending_) return false;
  model_.Collect();
  if (outcome_) return true;
  // Whoever only asks this serves the link too; what may take time is left to Wait.
  return !model_.Glance() || NowNanos() >= deadline_ns_;
}

void Call::Cancel() {
  if (!pending_ || outcome_) return;
  Leave();
  outcome_ = Cancelled("the call was cancelled");
}

bool Call::Idle() {
  if (state_ == State::kRunning || state_ == State::kLeft) {
    model_.Glance();
    model_.Collect();
  }
  return state_ != State::kRunning && state_ != State::kLeft;
}

void Call::Leave() {
  if (state_ != State::kRunning) return;
  state_ = model_.producer().TakeBack(slot_.entry) ? State::kReady : State::kLeft;
}

// -------------------------------------------------------------------- answers

void Call::OnCompletion(const channel::Completion& completion) {
  if (state_ == State::kLeft) {
    model_.producer().Reuse(completion.entry);
    state_ = State::kReady;
    return;
  }
  state_ = State::kDone;
  outcome_ = ReadAnswer(completion);
  // The model gives up what is late, as it does what was cancelled.
  if (outcome_->code() == StatusCode::kCancelled && NowNanos() >= deadline_ns_) {
    outcome_ = DeadlineExceeded(Message(*outcome_));
  }
  if (!outcome_->ok()) outputs_.clear();
}

Status Call::ReadAnswer(const channel::Completion& completion) {
  outputs_.clear();
  const std::string& model = model_.description().name;
  if (completion.struck) {
    return Internal(fmt::format(
        "the plugin host of model \"{}\" died twice while it ran this request: it is not run again",
        model));
  }
  if (completion.lost) {
    return Unavailable(fmt::format(
        "the plugin host of model \"{}\" ended while it ran this request, and did not answer",
        model));
  }
  const auto block = model_.producer().ResponseMemory(completion.entry, completion.response);
  Status status = block.ok() ? tensor::ReadResponse(*block, &view_) : block.status();
  if (status.ok() && view_.code != StatusCode::kOk) {
    return MakeStatus(view_.code,
                      view_.text.empty() ? "the model failed and did not say why" : view_.text);
  }
  if (status.ok()) status = ReadOutputs();
  if (status.ok()) return status;
  return Internal(
      fmt::format("the plugin host of model \"{}\" gave an answer that makes no sense: {}", model,
                  Message(status)));
}

// The host is not trusted: what it answers must be what was asked for.
Status Call::ReadOutputs() {
  const size_t expected = wanted_.empty() ? model_.description().outputs.size() : wanted_.size();
  if (view_.outputs.size() != expected) {
    return Internal(fmt::format("{} outputs instead of {}", view_.outputs.size(), expected));
  }
  for (size_t i = 0; i < expected; ++i) {
    MLOS_RETURN_IF_ERROR(
        CheckOutput(view_.outputs[i], wanted_.empty() ? static_cast<uint32_t>(i) : wanted_[i]));
  }
  return OkStatus();
}

Status Call::CheckOutput(const tensor::TensorDesc& desc, uint32_t index) {
  const TensorInfo& declared = model_.description().outputs[index];
  if (desc.index != index || static_cast<tensor::Datatype>(desc.datatype) != declared.datatype ||
      !tensor::Matches(declared.shape, desc.shape())) {
    return Internal(
        fmt::format("output \"{}\" has another datatype or shape than declared", declared.name));
  }
  MLOS_ASSIGN_OR_RETURN(
      const auto data,
      model_.producer().ResponseMemory(slot_.entry, {desc.segment, 0, desc.offset, desc.bytes}));
  outputs_.push_back({desc, data});
  return OkStatus();
}

const Call::Output* Call::output(uint32_t index) const {
  if (state_ != State::kDone || !outcome_ || !outcome_->ok()) return nullptr;
  const auto it = std::find_if(outputs_.begin(), outputs_.end(),
                               [&](const Output& output) { return output.desc.index == index; });
  return it == outputs_.end() ? nullptr : &*it;
}

}  // namespace mlos::client
