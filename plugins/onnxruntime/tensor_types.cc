// SPDX-License-Identifier: Apache-2.0
#include "tensor_types.h"

#include <iterator>

namespace mlos::onnxrt {
namespace {

struct TypeRow {
  ONNXTensorElementDataType ort;
  smi_datatype smi;
  const char* onnx_name;
};

// Indexed by nothing: the list is short and read at load only.
constexpr TypeRow kTypes[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, SMI_FP32, "tensor(float)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, SMI_FP64, "tensor(double)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, SMI_FP16, "tensor(float16)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, SMI_BF16, "tensor(bfloat16)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, SMI_INT8, "tensor(int8)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, SMI_INT16, "tensor(int16)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, SMI_INT32, "tensor(int32)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, SMI_INT64, "tensor(int64)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, SMI_UINT8, "tensor(uint8)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, SMI_UINT16, "tensor(uint16)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, SMI_UINT32, "tensor(uint32)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, SMI_UINT64, "tensor(uint64)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, SMI_BOOL, "tensor(bool)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, SMI_BYTES, "tensor(string)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64, SMI_INVALID, "tensor(complex64)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128, SMI_INVALID, "tensor(complex128)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN, SMI_INVALID, "tensor(float8e4m3fn)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ, SMI_INVALID, "tensor(float8e4m3fnuz)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2, SMI_INVALID, "tensor(float8e5m2)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ, SMI_INVALID, "tensor(float8e5m2fnuz)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4, SMI_INVALID, "tensor(uint4)"},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4, SMI_INVALID, "tensor(int4)"},
};

const TypeRow* FindType(ONNXTensorElementDataType type) {
  for (const TypeRow& row : kTypes) {
    if (row.ort == type) return &row;
  }
  return nullptr;
}

}  // namespace

smi_datatype FromOrt(ONNXTensorElementDataType type) {
  const TypeRow* row = FindType(type);
  return row == nullptr ? static_cast<smi_datatype>(SMI_INVALID) : row->smi;
}

const char* OrtTypeName(ONNXTensorElementDataType type) {
  const TypeRow* row = FindType(type);
  return row == nullptr ? "a tensor of unknown elements" : row->onnx_name;
}

const char* DatatypeName(smi_datatype datatype) {
  switch (datatype) {
    case SMI_INT8:
      return "INT8";
    case SMI_INT16:
      return "INT16";
    case SMI_INT32:
      return "INT32";
    case SMI_INT64:
      return "INT64";
    case SMI_UINT8:
      return "UINT8";
    case SMI_UINT16:
      return "UINT16";
    case SMI_UINT32:
      return "UINT32";
    case SMI_UINT64:
      return "UINT64";
    case SMI_FP16:
      return "FP16";
    case SMI_FP32:
      return "FP32";
    case SMI_FP64:
      return "FP64";
    case SMI_BF16:
      return "BF16";
    case SMI_BOOL:
      return "BOOL";
    case SMI_BYTES:
      return "BYTES";
    default:
      return "an unknown datatype";
  }
}

std::string ShapeText(const int64_t* shape, size_t rank) {
  std::string text = "[";
  for (size_t i = 0; i < rank; ++i) {
    if (i > 0) text += ',';
    text += std::to_string(shape[i]);
  }
  return text += ']';
}

bool ElementCount(const int64_t* shape, size_t rank, uint64_t* count) {
  uint64_t product = 1;
  for (size_t i = 0; i < rank; ++i) {
    if (shape[i] < 0) return false;
    if (__builtin_mul_overflow(product, static_cast<uint64_t>(shape[i]), &product)) return false;
  }
  *count = product;
  return true;
}

bool ByteSize(smi_datatype datatype, const int64_t* shape, size_t rank, uint64_t* bytes) {
  uint64_t count = 0;
  if (!ElementCount(shape, rank, &count)) return false;
  return !__builtin_mul_overflow(count, ElementSize(datatype), bytes);
}

bool ShapeFits(const Shape& declared, const int64_t* given, size_t rank) {
  if (declared.size() != rank) return false;
  for (size_t i = 0; i < rank; ++i) {
    if (given[i] < 0 || (declared[i] >= 0 && declared[i] != given[i])) return false;
  }
  return true;
}

}  // namespace mlos::onnxrt
