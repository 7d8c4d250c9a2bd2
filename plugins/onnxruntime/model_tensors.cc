// SPDX-License-Identifier: Apache-2.0
#include "model_tensors.h"

#include <algorithm>

namespace mlos::onnxrt {
namespace {

const char* KindName(ONNXType type) {
  switch (type) {
    case ONNX_TYPE_SEQUENCE:
      return "a sequence";
    case ONNX_TYPE_MAP:
      return "a map";
    case ONNX_TYPE_OPAQUE:
      return "an opaque value";
    case ONNX_TYPE_SPARSETENSOR:
      return "a sparse tensor";
    case ONNX_TYPE_OPTIONAL:
      return "an optional value";
    default:
      return "of an unknown kind";
  }
}

Error Unsupported(std::string_view side, const std::string& name, ONNXType type) {
  std::string text = std::string(side) + " " + Quote(name) + " is " + KindName(type) +
                     ", and only tensors can be served";
  if (side == "output" && (type == ONNX_TYPE_SEQUENCE || type == ONNX_TYPE_MAP)) {
    text += "; a classifier from scikit-learn is converted with the option zipmap off";
  }
  return Error(SMI_UNIMPLEMENTED, std::move(text));
}

Error ReadType(const OrtRuntime& ort, const OrtTypeInfo* type_info, std::string_view side,
               const OnnxScan& scan, TensorInfo* tensor) {
  const OrtApi& api = ort.api();
  ONNXType type = ONNX_TYPE_UNKNOWN;
  Error error = ort.ToError(api.GetOnnxTypeFromTypeInfo(type_info, &type));
  if (!error.ok()) return error;
  if (type != ONNX_TYPE_TENSOR) return Unsupported(side, tensor->name, type);

  const OrtTensorTypeAndShapeInfo* info = nullptr;
  error = ort.ToError(api.CastTypeInfoToTensorInfo(type_info, &info));
  if (error.ok()) error = ort.ToError(api.GetTensorElementType(info, &tensor->ort_type));
  size_t rank = 0;
  if (error.ok()) error = ort.ToError(api.GetDimensionsCount(info, &rank));
  if (!error.ok()) return error;
  tensor->datatype = FromOrt(tensor->ort_type);
  if (tensor->datatype == SMI_INVALID) {
    return Error(SMI_UNIMPLEMENTED, std::string(side) + " " + Quote(tensor->name) + " is " +
                                        OrtTypeName(tensor->ort_type) +
                                        ", which cannot be served; add a Cast to the model");
  }
  if (rank > SMI_MAX_RANK) {
    return Error(SMI_UNIMPLEMENTED, std::string(side) + " " + Quote(tensor->name) + " has " +
                                        std::to_string(rank) + " dimensions; at most " +
                                        std::to_string(SMI_MAX_RANK) + " can be served");
  }
  Shape shape(rank);
  error = ort.ToError(api.GetDimensions(info, shape.data(), rank));
  if (!error.ok()) return error;
  tensor->SetShape(std::move(shape));
  if (rank == 0) {
    tensor->rank_known = std::find(scan.shapeless.begin(), scan.shapeless.end(), tensor->name) ==
                         scan.shapeless.end();
  }
  return {};
}

using CountFn = decltype(OrtApi::SessionGetInputCount);
using NameFn = decltype(OrtApi::SessionGetInputName);
using TypeFn = decltype(OrtApi::SessionGetInputTypeInfo);

Error ReadSide(const OrtRuntime& ort, const OrtSession* session, std::string_view side,
               const OnnxScan& scan, CountFn count_of, NameFn name_of, TypeFn type_of,
               std::vector<TensorInfo>* tensors) {
  size_t count = 0;
  Error error = ort.ToError(count_of(session, &count));
  for (size_t i = 0; i < count && error.ok(); ++i) {
    TensorInfo tensor;
    char* name = nullptr;
    error = ort.ToError(name_of(session, i, ort.allocator(), &name));
    if (!error.ok()) break;
    tensor.name = name;
    (void)ort.ToError(ort.api().AllocatorFree(ort.allocator(), name));
    OrtTypeInfo* type = nullptr;
    error = ort.ToError(type_of(session, i, &type));
    if (!error.ok()) break;
    const OrtPtr<OrtTypeInfo> owned(type, ort.api().ReleaseTypeInfo);
    error = ReadType(ort, type, side, scan, &tensor);
    tensors->push_back(std::move(tensor));
  }
  return error;
}

std::vector<smi_tensor_spec> SpecsOf(const std::vector<TensorInfo>& tensors) {
  std::vector<smi_tensor_spec> specs;
  for (const TensorInfo& tensor : tensors) {
    smi_tensor_spec spec = {};
    spec.struct_size = sizeof(spec);
    spec.datatype = tensor.datatype;
    spec.name = tensor.name.c_str();
    spec.rank = static_cast<uint32_t>(tensor.shape.size());
    spec.shape = tensor.shape.data();
    specs.push_back(spec);
  }
  return specs;
}

}  // namespace

void TensorInfo::SetShape(Shape to) {
  shape = std::move(to);
  for (int64_t& dim : shape) dim = std::max<int64_t>(dim, -1);
  fixed = std::all_of(shape.begin(), shape.end(), [](int64_t dim) { return dim >= 0; });
}

Error ModelTensors::Read(const OrtRuntime& ort, const OrtSession* session, const OnnxScan& scan) {
  const OrtApi& api = ort.api();
  Error error = ReadSide(ort, session, "input", scan, api.SessionGetInputCount,
                         api.SessionGetInputName, api.SessionGetInputTypeInfo, &inputs_);
  if (!error.ok()) return error;
  for (const TensorInfo& input : inputs_) {
    if (input.rank_known) continue;
    return Invalid("input " + Quote(input.name) +
                   " declares no shape; export the model with one (unknown sizes are fine)");
  }
  return ReadSide(ort, session, "output", scan, api.SessionGetOutputCount, api.SessionGetOutputName,
                  api.SessionGetOutputTypeInfo, &outputs_);
}

Error ModelTensors::CheckBatchable(uint32_t max_batch_size) const {
  if (max_batch_size == 0) return {};
  for (const auto* side : {&inputs_, &outputs_}) {
    for (const TensorInfo& tensor : *side) {
      if (!tensor.shape.empty() && tensor.shape[0] == -1) continue;
      return Invalid("max_batch_size is " + std::to_string(max_batch_size) + ", but " +
                     (side == &inputs_ ? "input " : "output ") + Quote(tensor.name) +
                     " has shape " + ShapeText(tensor.shape) +
                     " and no first dimension of any size; set max_batch_size to 0");
    }
  }
  return {};
}

void ModelTensors::Publish(smi_model_info* info) {
  input_specs_ = SpecsOf(inputs_);
  output_specs_ = SpecsOf(outputs_);
  info->input_count = static_cast<uint32_t>(input_specs_.size());
  info->inputs = input_specs_.data();
  info->output_count = static_cast<uint32_t>(output_specs_.size());
  info->outputs = output_specs_.data();
}

}  // namespace mlos::onnxrt
