// SPDX-License-Identifier: Apache-2.0
//
// LearnedShapes: which output shapes followed from which input shapes, so that
// outputs whose size the model does not declare can still be written in place
// from the second request on.  A memory, not a promise: whoever uses it must be
// ready for another shape.
//
// Owned by a session, shared by its slots; every function may be called on any
// thread.  Bounded: it is emptied when it is full.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_LEARNED_SHAPES_H_
#define MLOS_PLUGINS_ONNXRUNTIME_LEARNED_SHAPES_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tensor_types.h"

namespace mlos::onnxrt {

// One entry per output of the model; empty where it is not known.
using OutputShapes = std::vector<std::optional<Shape>>;

class LearnedShapes {
 public:
  explicit LearnedShapes(size_t output_count) : output_count_(output_count) {}

  // What is known for inputs of these dimensions (all inputs', end to end; the
  // ranks are fixed by the model), or null.
  std::shared_ptr<const OutputShapes> Find(const Shape& inputs) const;

  // Adds one output's shape.
  void Learn(const Shape& inputs, size_t output, Shape shape);

 private:
  static constexpr size_t kMaxEntries = 512;

  const size_t output_count_;
  mutable std::mutex mutex_;
  std::map<Shape, std::shared_ptr<const OutputShapes>> known_;  // guarded by mutex_
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_LEARNED_SHAPES_H_
