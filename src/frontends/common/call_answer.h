// SPDX-License-Identifier: Apache-2.0
//
// A model's outputs as a call asked for them: in its order, with the greatest
// elements where only these are wanted, and in the client's shared memory
// where it named some.
//
// One per call, reused.  Threads: the front end's loop.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "frontends/common/call_tensors.h"
#include "frontends/common/classification.h"

namespace mlos::frontend {

struct AnswerTensor {
  const engine::OutputTensor* tensor = nullptr;
  const AskedOutput* asked = nullptr;  // null: all were asked for
};

class CallAnswer {
 public:
  // `asked`: empty for all outputs.  What is classified takes the place of its
  // output in `outputs`.  Both stay as long as `tensors` is looked at.
  //
  // INVALID_ARGUMENT: too much to classify, or the shared memory has shrunk.
  // INTERNAL: the model has left one out, or it does not fit where it goes.
  Status Make(std::string_view model, const engine::ModelRoute& route,
              std::span<const AskedOutput> asked, std::span<engine::OutputTensor> outputs,
              Classifier& classifier);
  std::span<const AnswerTensor> tensors() const { return tensors_; }
  // Until then what is classified stays, too.
  void Clear();

 private:
  Status Classify(const engine::ModelRoute& route, const AskedOutput& asked, Classifier& classifier,
                  engine::OutputTensor* output);

  std::vector<AnswerTensor> tensors_;
  std::vector<std::string> classified_;
  uint64_t looked_at_ = 0;  // elements, for that
  uint64_t results_ = 0;    // that it came to
};

}  // namespace mlos::frontend
