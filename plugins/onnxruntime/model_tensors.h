// SPDX-License-Identifier: Apache-2.0
//
// ModelTensors: the inputs and outputs of a session as SMI describes them.
// Owned by the model; immutable once it is loaded; the pointers inside specs()
// point into the object, which therefore neither moves nor is copied.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_MODEL_TENSORS_H_
#define MLOS_PLUGINS_ONNXRUNTIME_MODEL_TENSORS_H_

#include <string>
#include <vector>

#include "error.h"
#include "onnx_scan.h"
#include "ort_runtime.h"
#include "tensor_types.h"

namespace mlos::onnxrt {

struct TensorInfo {
  std::string name;
  smi_datatype datatype = SMI_INVALID;
  ONNXTensorElementDataType ort_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  Shape shape;  // -1: any size
  bool rank_known = true;
  bool fixed = false;  // every dimension is

  // Takes a shape and says whether all of it is fixed.
  void SetShape(Shape to);
};

class ModelTensors {
 public:
  ModelTensors() = default;
  ModelTensors(const ModelTensors&) = delete;
  ModelTensors& operator=(const ModelTensors&) = delete;

  // Reads them from the session.  Refuses what SMI cannot carry, by name.
  // Outputs may be left without a known rank; inputs not.
  Error Read(const OrtRuntime& ort, const OrtSession* session, const OnnxScan& scan);

  const std::vector<TensorInfo>& inputs() const { return inputs_; }
  const std::vector<TensorInfo>& outputs() const { return outputs_; }
  std::vector<TensorInfo>& mutable_outputs() { return outputs_; }

  // Checks that every tensor has a leading -1.
  Error CheckBatchable(uint32_t max_batch_size) const;

  // Fills the specs and points `info` at them; once, when all is known.
  void Publish(smi_model_info* info);

 private:
  std::vector<TensorInfo> inputs_;
  std::vector<TensorInfo> outputs_;
  std::vector<smi_tensor_spec> input_specs_;
  std::vector<smi_tensor_spec> output_specs_;
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_MODEL_TENSORS_H_
