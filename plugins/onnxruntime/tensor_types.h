// SPDX-License-Identifier: Apache-2.0
//
// Datatypes and shapes: between SMI's numbers, ONNX Runtime's and the words of
// error messages.  Pure functions.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_TENSOR_TYPES_H_
#define MLOS_PLUGINS_ONNXRUNTIME_TENSOR_TYPES_H_

#include <mlos/smi.h>
#include <onnxruntime_c_api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mlos::onnxrt {

using Shape = std::vector<int64_t>;

// SMI_INVALID for element types that SMI has no word for (complex, 4 and 8 bit
// floats, 4 bit integers).
smi_datatype FromOrt(ONNXTensorElementDataType type);

// "tensor(complex64)": how ONNX writes an element type.
const char* OrtTypeName(ONNXTensorElementDataType type);

// "FP32", as the Open Inference Protocol writes it.
const char* DatatypeName(smi_datatype datatype);

// Bytes per element; 0 for BYTES.
inline uint64_t ElementSize(smi_datatype datatype) {
  return datatype == SMI_BYTES ? 0 : (datatype & 0xff) / 8;
}

// "[-1,3,224,224]"
std::string ShapeText(const int64_t* shape, size_t rank);
inline std::string ShapeText(const Shape& shape) { return ShapeText(shape.data(), shape.size()); }

// Product of the dimensions; false when one is negative or it overflows.
bool ElementCount(const int64_t* shape, size_t rank, uint64_t* count);

// Bytes of a dense tensor (not for BYTES); false as above.
bool ByteSize(smi_datatype datatype, const int64_t* shape, size_t rank, uint64_t* bytes);

// True when `given` has the rank and the fixed dimensions of `declared`.
bool ShapeFits(const Shape& declared, const int64_t* given, size_t rank);

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_TENSOR_TYPES_H_
