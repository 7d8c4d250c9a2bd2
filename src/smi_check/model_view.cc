// SPDX-License-Identifier: Apache-2.0
#include "smi_check/model_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/name.h"
#include "smi_check/child.h"

namespace mlos {
namespace {

constexpr uint32_t kMostTensors = 65536;
constexpr uint64_t kMostInputBytes = 256ull << 20;

struct DatatypeRow {
  smi_datatype datatype;
  const char* name;
  uint64_t size;    // 0: BYTES
  const char* one;  // the element 1, little-endian; for BYTES "a"
};
constexpr DatatypeRow kDatatypes[] = {
    {SMI_BOOL, "BOOL", 1, "\x01"},
    {SMI_UINT8, "UINT8", 1, "\x01"},
    {SMI_UINT16, "UINT16", 2, "\x01\0"},
    {SMI_UINT32, "UINT32", 4, "\x01\0\0\0"},
    {SMI_UINT64, "UINT64", 8, "\x01\0\0\0\0\0\0\0"},
    {SMI_INT8, "INT8", 1, "\x01"},
    {SMI_INT16, "INT16", 2, "\x01\0"},
    {SMI_INT32, "INT32", 4, "\x01\0\0\0"},
    {SMI_INT64, "INT64", 8, "\x01\0\0\0\0\0\0\0"},
    {SMI_FP16, "FP16", 2, "\x00\x3c"},
    {SMI_FP32, "FP32", 4, "\x00\x00\x80\x3f"},
    {SMI_FP64, "FP64", 8, "\0\0\0\0\0\0\xf0\x3f"},
    {SMI_BF16, "BF16", 2, "\x80\x3f"},
    {SMI_BYTES, "BYTES", 0, "\x01\0\0\0a"},
};
static_assert(std::endian::native == std::endian::little, "the table is little-endian");

const DatatypeRow* FindDatatype(smi_datatype datatype) {
  for (const DatatypeRow& row : kDatatypes) {
    if (row.datatype == datatype) return &row;
  }
  return nullptr;
}

std::string ElementOf(const DatatypeRow& row, Fill fill) {
  if (row.size == 0) return fill == Fill::kZeros ? std::string(4, '\0') : std::string(row.one, 5);
  return fill == Fill::kZeros ? std::string(row.size, '\0') : std::string(row.one, row.size);
}

StatusOr<TensorView> ReadSpec(const smi_tensor_spec& spec, const std::string& what) {
  if (spec.struct_size < sizeof(smi_tensor_spec)) {
    return Fail(fmt::format("{} has struct_size {}; set it to sizeof(smi_tensor_spec), {}", what,
                            spec.struct_size, sizeof(smi_tensor_spec)));
  }
  TensorView view;
  if (spec.name == nullptr || spec.name[0] == '\0') return Fail(what + " has no name");
  view.name = spec.name;
  const std::string named = fmt::format("{} {}", what, Quoted(view.name));
  if (!IsKnownDatatype(spec.datatype)) {
    return Fail(fmt::format("{} has {}, which mlos/smi.h does not list", named,
                            DatatypeName(spec.datatype)));
  }
  view.datatype = spec.datatype;
  view.optional = spec.optional;
  if (spec.rank > SMI_MAX_RANK) {
    return Fail(
        fmt::format("{} has rank {}, at most {} is allowed", named, spec.rank, SMI_MAX_RANK));
  }
  if (spec.rank > 0 && spec.shape == nullptr) return Fail(named + " has no shape");
  view.shape.assign(spec.shape, spec.shape + spec.rank);
  std::vector<int64_t> fixed;
  for (const int64_t dim : view.shape) {
    if (dim < -1) {
      return Fail(fmt::format("{} has shape {}; a dimension is 0 or more, or -1 for any size",
                              named, ShapeText(view.shape)));
    }
    fixed.push_back(dim < 0 ? 1 : dim);
  }
  uint64_t count = 0;
  if (!CountElements(fixed, &count)) {
    return Fail(fmt::format("{} has shape {}, which overflows", named, ShapeText(view.shape)));
  }
  return view;
}

// The array is strided by the struct_size of its first element.
Status ReadSpecs(const smi_tensor_spec* specs, uint32_t count, const std::string& what,
                 std::vector<TensorView>* views) {
  if (count > kMostTensors) return Fail(fmt::format("{} {}s are described", count, what));
  if (count > 0 && specs == nullptr) {
    return Fail(fmt::format("{} {}s are described, but the array is NULL", count, what));
  }
  for (uint32_t i = 0; i < count; ++i) {
    const auto* at = reinterpret_cast<const std::byte*>(specs) + size_t{i} * specs->struct_size;
    auto view =
        ReadSpec(*reinterpret_cast<const smi_tensor_spec*>(at), fmt::format("{} {}", what, i));
    if (!view.ok()) return view.status();
    for (const TensorView& other : *views) {
      if (other.name == view->name) {
        return Fail(fmt::format("two {}s are called {}", what, Quoted(view->name)));
      }
    }
    views->push_back(std::move(*view));
  }
  return OkStatus();
}

Status CheckBatching(const ModelView& model) {
  if (model.max_batch_size == 0) return OkStatus();
  for (const auto* tensors : {&model.inputs, &model.outputs}) {
    for (const TensorView& tensor : *tensors) {
      if (!tensor.shape.empty() && tensor.shape[0] == -1) continue;
      return Fail(
          fmt::format("max_batch_size is {}, but {} has shape {}: every input and output "
                      "of a model with batches has a leading -1",
                      model.max_batch_size, Quoted(tensor.name), ShapeText(tensor.shape)));
    }
  }
  return OkStatus();
}

}  // namespace

bool IsKnownDatatype(smi_datatype datatype) { return FindDatatype(datatype) != nullptr; }

std::string DatatypeName(smi_datatype datatype) {
  const DatatypeRow* row = FindDatatype(datatype);
  return row != nullptr ? row->name : fmt::format("datatype {:#06x}", datatype);
}

uint64_t ElementSize(smi_datatype datatype) {
  const DatatypeRow* row = FindDatatype(datatype);
  return row != nullptr ? row->size : 0;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += fmt::format("{}{}", i > 0 ? "," : "", shape[i]);
  return text + "]";
}

bool CountElements(const std::vector<int64_t>& shape, uint64_t* count) {
  *count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0) return false;
    // Room for the element size too.
    if (__builtin_mul_overflow(*count, static_cast<uint64_t>(dim), count)) return false;
    if (*count > (uint64_t{1} << 60)) return false;
  }
  return true;
}

StatusOr<ModelView> ReadInfo(const smi_model_info* info) {
  if (info == nullptr) return Fail("describe returned NULL");
  if (info->struct_size < sizeof(smi_model_info)) {
    return Fail(
        fmt::format("smi_model_info has struct_size {}; set it to sizeof(smi_model_info), "
                    "{}",
                    info->struct_size, sizeof(smi_model_info)));
  }
  ModelView model;
  MLOS_RETURN_IF_ERROR(ReadSpecs(info->inputs, info->input_count, "input", &model.inputs));
  MLOS_RETURN_IF_ERROR(ReadSpecs(info->outputs, info->output_count, "output", &model.outputs));
  if (model.outputs.empty()) return Fail("the model has no outputs");
  for (const TensorView& output : model.outputs) {
    if (output.optional) {
      return Fail(fmt::format("output {} is optional; only inputs can be", Quoted(output.name)));
    }
  }
  if (info->replay > SMI_REPLAY_NEVER) {
    return Fail(
        fmt::format("replay is {}; it is SMI_REPLAY_SAFE or SMI_REPLAY_NEVER", info->replay));
  }
  if (info->platform == nullptr || info->platform[0] == '\0') {
    return Fail("platform is empty; say what runs the model, such as 'myframework_myformat'");
  }
  model.max_batch_size = info->max_batch_size;
  model.max_concurrency = std::max(info->max_concurrency, 1u);
  model.replay = info->replay;
  model.platform = info->platform;
  MLOS_RETURN_IF_ERROR(CheckBatching(model));
  return model;
}

StatusOr<std::vector<TensorValue>> MakeInputs(const ModelView& model, Fill fill, int64_t size,
                                              int64_t batch, bool optional) {
  std::vector<TensorValue> values;
  uint64_t total = 0;
  for (uint32_t i = 0; i < model.inputs.size(); ++i) {
    const TensorView& input = model.inputs[i];
    if (input.optional && !optional) continue;
    TensorValue value{i, input.datatype, input.shape, {}};
    for (size_t d = 0; d < value.shape.size(); ++d) {
      if (value.shape[d] < 0) value.shape[d] = d == 0 && model.max_batch_size > 0 ? batch : size;
    }
    uint64_t count = 0;
    const std::string element = ElementOf(*FindDatatype(input.datatype), fill);
    if (!CountElements(value.shape, &count) || count > kMostInputBytes / element.size() ||
        (total += count * element.size()) > kMostInputBytes) {
      return Skip("the inputs would be larger than 256 MiB");
    }
    value.bytes.reserve(count * element.size());
    for (uint64_t n = 0; n < count; ++n) value.bytes += element;
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace mlos
