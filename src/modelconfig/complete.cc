// SPDX-License-Identifier: Apache-2.0
#include "modelconfig/complete.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <span>
#include <vector>

#include "base/name.h"
#include "base/near_miss.h"

namespace mlos::modelconfig {
namespace {

using inference::DataType;
using tensor::Datatype;

struct Pair {
  Datatype datatype;
  DataType type;
};
constexpr Pair kDatatypes[] = {
    {Datatype::kBool, inference::TYPE_BOOL},     {Datatype::kUint8, inference::TYPE_UINT8},
    {Datatype::kUint16, inference::TYPE_UINT16}, {Datatype::kUint32, inference::TYPE_UINT32},
    {Datatype::kUint64, inference::TYPE_UINT64}, {Datatype::kInt8, inference::TYPE_INT8},
    {Datatype::kInt16, inference::TYPE_INT16},   {Datatype::kInt32, inference::TYPE_INT32},
    {Datatype::kInt64, inference::TYPE_INT64},   {Datatype::kFp16, inference::TYPE_FP16},
    {Datatype::kFp32, inference::TYPE_FP32},     {Datatype::kFp64, inference::TYPE_FP64},
    {Datatype::kBytes, inference::TYPE_STRING},  {Datatype::kBf16, inference::TYPE_BF16},
};

// The dimensions without that of the batch.
std::span<const int64_t> Dims(const TensorInfo& tensor, const ModelInfo& info) {
  const std::span<const int64_t> shape(tensor.shape);
  return info.max_batch_size > 0 && !shape.empty() ? shape.subspan(1) : shape;
}

const TensorInfo* Find(const std::vector<TensorInfo>& tensors, const std::string& name) {
  const auto it = std::find_if(tensors.begin(), tensors.end(),
                               [&](const TensorInfo& t) { return t.name == name; });
  return it == tensors.end() ? nullptr : &*it;
}

std::string Known(const std::vector<TensorInfo>& tensors, std::string_view near) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  std::string list;
  for (const TensorInfo& tensor : tensors) {
    names.emplace_back(tensor.name);
    list += (list.empty() ? "" : ", ") + tensor.name;
  }
  return fmt::format("{}; the model has {}", DidYouMean(near, names), Quoted(list, 300));
}

Status CheckDims(std::span<const int64_t> said, const TensorInfo& tensor, const ModelInfo& info,
                 const std::string& what) {
  for (const int64_t dim : said) {
    if (dim >= 1 || dim == -1) continue;
    return FailedPrecondition(
        fmt::format("{} has the dimension {}: each is a size from 1 on, or -1 for any", what, dim));
  }
  const auto dims = Dims(tensor, info);
  const bool fits =
      said.empty() || std::equal(said.begin(), said.end(), dims.begin(), dims.end(),
                                 [](int64_t a, int64_t b) { return a == b || a == -1 || b == -1; });
  if (fits) return OkStatus();
  return FailedPrecondition(fmt::format(
      "{} has the dimensions {}, the model's are {}{}", what, tensor::ShapeText(said),
      tensor::ShapeText(dims), info.max_batch_size > 0 ? " (without that of the batch)" : ""));
}

template <typename Tensors>
Status CheckTensors(const Tensors& said, const std::vector<TensorInfo>& tensors,
                    const ModelInfo& info, const char* kind) {
  std::set<std::string> seen;
  for (const auto& one : said) {
    const std::string what = fmt::format("{} {}", kind, Quoted(one.name()));
    const TensorInfo* tensor = Find(tensors, one.name());
    if (tensor == nullptr) {
      return FailedPrecondition(
          fmt::format("{} is none of the model's{}", what, Known(tensors, one.name())));
    }
    if (!seen.insert(one.name()).second) return FailedPrecondition(what + " is there twice");
    if (one.data_type() != inference::TYPE_INVALID &&
        DatatypeOf(one.data_type()) != tensor->datatype) {
      return FailedPrecondition(fmt::format("{} has the data type {}, the model's is {}", what,
                                            DataType_Name(one.data_type()),
                                            DataType_Name(WireDatatype(tensor->datatype))));
    }
    MLOS_RETURN_IF_ERROR(
        CheckDims({one.dims().data(), static_cast<size_t>(one.dims_size())}, *tensor, info, what));
  }
  return OkStatus();
}

template <typename Wire>
void CompleteTensor(const TensorInfo& tensor, const ModelInfo& info, Wire* wire) {
  wire->set_name(tensor.name);
  if (wire->data_type() == inference::TYPE_INVALID) {
    wire->set_data_type(WireDatatype(tensor.datatype));
  }
  if (wire->dims_size() > 0) return;
  const auto dims = Dims(tensor, info);
  wire->mutable_dims()->Add(dims.begin(), dims.end());
}

// What is said keeps its place in front; what is missing follows as the model has it.
template <typename Tensors>
void CompleteTensors(const std::vector<TensorInfo>& tensors, const ModelInfo& info, Tensors* said) {
  for (const TensorInfo& tensor : tensors) {
    auto it = std::find_if(said->begin(), said->end(),
                           [&](const auto& one) { return one.name() == tensor.name; });
    CompleteTensor(tensor, info, it != said->end() ? &*it : said->Add());
  }
}

}  // namespace

DataType WireDatatype(Datatype datatype) {
  for (const Pair& pair : kDatatypes) {
    if (pair.datatype == datatype) return pair.type;
  }
  return inference::TYPE_INVALID;
}

Datatype DatatypeOf(DataType type) {
  for (const Pair& pair : kDatatypes) {
    if (pair.type == type) return pair.datatype;
  }
  return Datatype::kInvalid;
}

Status CheckIdentity(const inference::ModelConfig& config, std::string_view model,
                     std::string_view plugin) {
  if (!config.name().empty() && config.name() != model) {
    return FailedPrecondition(
        fmt::format("its configuration is for a model of the name {}", Quoted(config.name())));
  }
  if (!config.backend().empty() && config.backend() != plugin) {
    return FailedPrecondition(
        fmt::format("its configuration names the backend {}, the plugin is {}",
                    Quoted(config.backend()), plugin));
  }
  const std::string& platform = config.platform();
  if (!platform.empty() && platform != plugin &&
      platform.rfind(std::string(plugin) + "_", 0) != 0) {
    return FailedPrecondition(fmt::format(
        "its configuration names the platform {}, the plugin is {}", Quoted(platform), plugin));
  }
  return OkStatus();
}

Status Check(const inference::ModelConfig& config, const ModelInfo& info) {
  if (config.max_batch_size() < 0) {
    return FailedPrecondition(
        fmt::format("max_batch_size is {}: it is 0 for a model without batches, or their largest "
                    "size",
                    config.max_batch_size()));
  }
  const auto batch = static_cast<uint32_t>(config.max_batch_size());
  if (batch != 0 && batch != info.max_batch_size) {
    return FailedPrecondition(
        info.max_batch_size == 0
            ? fmt::format("max_batch_size is {}, but the model takes no batches", batch)
            : fmt::format("max_batch_size is {}, the model's is {}", batch, info.max_batch_size));
  }
  MLOS_RETURN_IF_ERROR(CheckTensors(config.input(), info.inputs, info, "input"));
  for (const inference::ModelInput& input : config.input()) {
    if (input.optional() && !Find(info.inputs, input.name())->optional) {
      return FailedPrecondition(
          fmt::format("input {} is optional, but the model needs it", Quoted(input.name())));
    }
  }
  return CheckTensors(config.output(), info.outputs, info, "output");
}

void Complete(std::string_view model, std::string_view plugin, const ModelInfo& info,
              inference::ModelConfig* config) {
  config->set_name(std::string(model));
  config->set_backend(std::string(plugin));
  if (config->platform().empty()) config->set_platform(info.platform);
  config->set_max_batch_size(
      static_cast<int32_t>(std::min<uint32_t>(info.max_batch_size, INT32_MAX)));
  CompleteTensors(info.inputs, info, config->mutable_input());
  CompleteTensors(info.outputs, info, config->mutable_output());
  for (inference::ModelInput& input : *config->mutable_input()) {
    const TensorInfo* tensor = Find(info.inputs, input.name());
    if (tensor != nullptr) input.set_optional(tensor->optional);
  }
}

}  // namespace mlos::modelconfig
