// SPDX-License-Identifier: Apache-2.0
//
// From what a client named to what a model has: finds the tensors, checks
// datatypes and shapes, and says in one sentence what is wrong.  The same for
// every protocol.
//
// A PlanBuilder borrows all it is given for the length of one planning; it
// allocates nothing once its vector has grown.  One per event loop.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/message.h"
#include "tensor/model_info.h"

namespace mlos::frontend {

class PlanBuilder {
 public:
  void Begin(std::string_view model, const ModelInfo& info, tensor::RequestPlan* plan);

  // `desc` comes with datatype, rank and dims; index is filled in.  For BYTES
  // the caller sets desc->bytes before Finish, for the others it is set here.
  Status AddInput(std::string_view name, tensor::TensorDesc* desc);
  Status AddOutput(std::string_view name, uint32_t* index);

  // All required inputs are there; puts the plan's inputs and outputs in
  // ascending order.  `inputs` are those of AddInput, in any order.
  Status Finish(std::span<const tensor::TensorDesc> inputs);

 private:
  std::string Prefix() const;

  std::string_view model_;
  const ModelInfo* info_ = nullptr;
  tensor::RequestPlan* plan_ = nullptr;
  std::vector<uint8_t> seen_;  // per input of the model, then per output
  int64_t batch_ = -1;
};

// "'a' FP32 [-1,3], 'b' INT64 [1]": for messages.
std::string TensorList(std::span<const TensorInfo> tensors);

// What a client wrote, fit for a message: quoted, shortened, printable.
std::string Quote(std::string_view text);

}  // namespace mlos::frontend
