// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/infer_plan.h"

#include <algorithm>

namespace mlos::frontend {
namespace {

using tensor::Datatype;
using tensor::DatatypeName;
using tensor::ShapeText;

constexpr size_t kNotFound = static_cast<size_t>(-1);
constexpr size_t kMostNamesInAMessage = 16;

// Clients list tensors in the model's order nearly always: look there first.
size_t FindTensor(std::span<const TensorInfo> tensors, std::string_view name, size_t guess) {
  if (guess < tensors.size() && tensors[guess].name == name) return guess;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name == name) return i;
  }
  return kNotFound;
}

}  // namespace

std::string Quote(std::string_view text) {
  constexpr size_t kMost = 128;
  std::string out = "'";
  for (const char c : text.substr(0, kMost)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  // A character that was cut in two would make the message invalid UTF-8.
  if (text.size() > kMost) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    if (!out.empty() && (static_cast<unsigned char>(out.back()) & 0x80) != 0) out.pop_back();
    out += "...";
  }
  out += '\'';
  return out;
}

std::string TensorList(std::span<const TensorInfo> tensors) {
  if (tensors.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i == kMostNamesInAMessage) {
      text += " and " + std::to_string(tensors.size() - i) + " more";
      break;
    }
    if (i > 0) text += ", ";
    text += Quote(tensors[i].name);
    text += ' ';
    text += DatatypeName(tensors[i].datatype);
    text += ' ';
    text += ShapeText(tensors[i].shape);
  }
  return text;
}

void PlanBuilder::Begin(std::string_view model, const ModelInfo& info, tensor::RequestPlan* plan) {
  model_ = model;
  info_ = &info;
  plan_ = plan;
  plan->Clear();
  seen_.assign(info.inputs.size() + info.outputs.size(), 0);
  batch_ = -1;
}

std::string PlanBuilder::Prefix() const { return "model " + Quote(model_) + ": "; }

Status PlanBuilder::AddInput(std::string_view name, tensor::TensorDesc* desc) {
  const size_t i = FindTensor(info_->inputs, name, plan_->inputs.size());
  if (i == kNotFound) {
    return InvalidArgument(Prefix() + "has no input " + Quote(name) + "; its inputs are " +
                           TensorList(info_->inputs));
  }
  const TensorInfo& declared = info_->inputs[i];
  if (seen_[i] != 0) return InvalidArgument(Prefix() + "input " + Quote(name) + " is given twice");
  seen_[i] = 1;
  const auto given = static_cast<Datatype>(desc->datatype);
  if (given != declared.datatype) {
    return InvalidArgument(Prefix() + "input " + Quote(name) + " has datatype " +
                           std::string(DatatypeName(given)) + " but the model takes " +
                           std::string(DatatypeName(declared.datatype)));
  }
  if (!tensor::Matches(declared.shape, desc->shape())) {
    return InvalidArgument(Prefix() + "input " + Quote(name) + " has shape " +
                           ShapeText(desc->shape()) + " but the model takes " +
                           ShapeText(declared.shape) + " (-1: any size)");
  }
  uint64_t count = 0;
  if (!tensor::ElementCount(desc->shape(), &count) ||
      (given != Datatype::kBytes && !tensor::ByteSize(given, desc->shape(), &desc->bytes))) {
    return InvalidArgument(Prefix() + "input " + Quote(name) + " has shape " +
                           ShapeText(desc->shape()) +
                           ": a dimension is negative or the size overflows");
  }
  if (info_->max_batch_size > 0 && desc->rank > 0) {
    const int64_t batch = desc->dims[0];
    if (batch > info_->max_batch_size) {
      return InvalidArgument(Prefix() + "input " + Quote(name) + " has batch size " +
                             std::to_string(batch) + " but the model takes at most " +
                             std::to_string(info_->max_batch_size));
    }
    if (batch_ >= 0 && batch != batch_) {
      return InvalidArgument(Prefix() + "input " + Quote(name) + " has batch size " +
                             std::to_string(batch) + " but another input has " +
                             std::to_string(batch_));
    }
    batch_ = batch;
  }
  desc->index = static_cast<uint32_t>(i);
  plan_->inputs.push_back(*desc);
  return OkStatus();
}

Status PlanBuilder::AddOutput(std::string_view name, uint32_t* index) {
  const size_t i = FindTensor(info_->outputs, name, plan_->outputs.size());
  if (i == kNotFound) {
    return InvalidArgument(Prefix() + "has no output " + Quote(name) + "; its outputs are " +
                           TensorList(info_->outputs));
  }
  if (seen_[info_->inputs.size() + i] != 0) {
    return InvalidArgument(Prefix() + "output " + Quote(name) + " is asked for twice");
  }
  seen_[info_->inputs.size() + i] = 1;
  *index = static_cast<uint32_t>(i);
  plan_->outputs.push_back(*index);
  return OkStatus();
}

Status PlanBuilder::Finish(std::span<const tensor::TensorDesc> inputs) {
  for (size_t i = 0; i < info_->inputs.size(); ++i) {
    if (seen_[i] == 0 && !info_->inputs[i].optional) {
      return InvalidArgument(Prefix() + "input " + Quote(info_->inputs[i].name) +
                             " is missing; its inputs are " + TensorList(info_->inputs));
    }
  }
  plan_->inputs.assign(inputs.begin(), inputs.end());
  const auto by_index = [](const tensor::TensorDesc& a, const tensor::TensorDesc& b) {
    return a.index < b.index;
  };
  if (!std::is_sorted(plan_->inputs.begin(), plan_->inputs.end(), by_index)) {
    std::sort(plan_->inputs.begin(), plan_->inputs.end(), by_index);
  }
  std::sort(plan_->outputs.begin(), plan_->outputs.end());
  return OkStatus();
}

}  // namespace mlos::frontend
