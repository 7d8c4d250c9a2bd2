// SPDX-License-Identifier: Apache-2.0
#include "learned_shapes.h"

namespace mlos::onnxrt {

std::shared_ptr<const OutputShapes> LearnedShapes::Find(const Shape& inputs) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = known_.find(inputs);
  return found == known_.end() ? nullptr : found->second;
}

void LearnedShapes::Learn(const Shape& inputs, size_t output, Shape shape) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (known_.size() >= kMaxEntries && known_.count(inputs) == 0) known_.clear();
  std::shared_ptr<const OutputShapes>& entry = known_[inputs];
  auto updated = entry == nullptr ? std::make_shared<OutputShapes>(output_count_)
                                  : std::make_shared<OutputShapes>(*entry);
  (*updated)[output] = std::move(shape);
  entry = std::move(updated);
}

}  // namespace mlos::onnxrt
