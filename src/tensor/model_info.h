// SPDX-License-Identifier: Apache-2.0
//
// What a loaded model says about itself: copied out of the plugin host's
// description once, immutable afterwards, shared by pointer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/datatype.h"

namespace mlos {

struct TensorInfo {
  std::string name;
  tensor::Datatype datatype = tensor::Datatype::kInvalid;
  std::vector<int64_t> shape;  // -1: any size
  bool optional = false;       // inputs only
};

struct ModelInfo {
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  uint32_t max_batch_size = 0;  // 0: no batch dimension
  uint32_t max_concurrency = 1;
  bool replay_safe = true;
  uint64_t memory_bytes = 0;  // 0: not known
  std::string platform;       // "onnxruntime_onnx"
};

}  // namespace mlos
