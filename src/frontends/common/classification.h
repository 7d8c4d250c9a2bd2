// SPDX-License-Identifier: Apache-2.0
//
// The protocol's classification extension: instead of an output's numbers the
// client gets the greatest of them, each as "value:index" or
// "value:index:label".
//
// A Classifier keeps the memory that it works in; one per event loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "tensor/model_info.h"

namespace mlos::frontend {

// Elements of an output that is looked at, and of the answer made of it: more
// would keep the loop busy for longer than a client may.
constexpr uint64_t kMostClassified = 1'000'000;
constexpr uint64_t kMostResults = 65'536;

// Whether an output can be classified at all: what is known before the model
// runs.  INVALID_ARGUMENT: not of this datatype.
Status CheckClassifiable(const TensorInfo& output);

class Classifier {
 public:
  // The `classes` (> 0) greatest of each row: of each element of the batch where
  // the model batches, else of all.  Equal ones come in their order, what is
  // not a number comes last.  `labels`: by class; may be shorter, or have empty
  // ones.
  // Writes the elements of a BYTES tensor to `elements` and what they are to
  // `desc`.  `output` may lie in memory that another process can still write:
  // it is read once.
  Status Classify(const engine::OutputTensor& output, bool batches, uint64_t classes,
                  std::span<const std::string> labels, std::string* elements,
                  tensor::TensorDesc* desc);

 private:
  template <typename T>
  void Rank(uint64_t rows, uint64_t row, uint64_t most, std::span<const std::string> labels,
            std::string* elements);

  std::vector<std::byte> values_;
  std::vector<uint32_t> order_;
};

}  // namespace mlos::frontend
