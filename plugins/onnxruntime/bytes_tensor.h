// SPDX-License-Identifier: Apache-2.0
//
// BYTES tensors: between SMI's form (per element a 4-byte length, then the
// bytes) and ONNX Runtime's string tensors.  Stateless; any thread.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_BYTES_TENSOR_H_
#define MLOS_PLUGINS_ONNXRUNTIME_BYTES_TENSOR_H_

#include <vector>

#include "error.h"
#include "ort_runtime.h"

namespace mlos::onnxrt {

// A string tensor with the elements of `tensor`.  The lengths are checked
// again here: the memory may be one that its sender can still write.
Error DecodeBytes(const OrtRuntime& ort, const smi_tensor& tensor, OrtPtr<OrtValue>* value);

// The strings of an ONNX Runtime tensor, ready to be written in SMI's form.
class EncodedBytes {
 public:
  static Error From(const OrtRuntime& ort, const OrtValue* value, size_t count, EncodedBytes* out);

  uint64_t byte_size() const { return text_.size() + 4 * uint64_t{offsets_.size()}; }
  void WriteTo(void* to) const;

 private:
  std::vector<char> text_;       // all elements, end to end
  std::vector<size_t> offsets_;  // where each begins
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_BYTES_TENSOR_H_
