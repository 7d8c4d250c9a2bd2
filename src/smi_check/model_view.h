// SPDX-License-Identifier: Apache-2.0
//
// What `describe` says, checked and copied; and inputs made to fit it.
// Ownership: values.  Threads: none of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "mlos/smi.h"

namespace mlos {

struct TensorView {
  std::string name;
  smi_datatype datatype = SMI_INVALID;
  bool optional = false;
  std::vector<int64_t> shape;
};

struct ModelView {
  std::vector<TensorView> inputs;
  std::vector<TensorView> outputs;
  uint32_t max_batch_size = 0;
  uint32_t max_concurrency = 1;
  smi_replay replay = SMI_REPLAY_SAFE;
  std::string platform;

  bool is_replay_safe() const { return replay == SMI_REPLAY_SAFE; }
};

// A tensor's content as it crosses.
struct TensorValue {
  uint32_t index = 0;
  smi_datatype datatype = SMI_INVALID;
  std::vector<int64_t> shape;
  std::string bytes;

  friend bool operator==(const TensorValue&, const TensorValue&) = default;
};

// "FP32"; "datatype 0x123" for what is none.
std::string DatatypeName(smi_datatype datatype);
bool IsKnownDatatype(smi_datatype datatype);
// Bytes per element; 0 for BYTES.
uint64_t ElementSize(smi_datatype datatype);
// "[2,-1]"
std::string ShapeText(const std::vector<int64_t>& shape);
// The product; false when a dimension is negative or it does not fit.
bool CountElements(const std::vector<int64_t>& shape, uint64_t* count);

// The checked copy, or what is inconsistent in it.
StatusOr<ModelView> ReadInfo(const smi_model_info* info);

enum class Fill { kZeros, kOnes };

// Values for the inputs of a model, -1 taken as `size`, a leading -1 of a model
// with batches as `batch`.  Optional inputs are left out where `optional` is
// false.  A skip when they would be larger than 256 MiB.
StatusOr<std::vector<TensorValue>> MakeInputs(const ModelView& model, Fill fill, int64_t size = 1,
                                              int64_t batch = 1, bool optional = true);

}  // namespace mlos
