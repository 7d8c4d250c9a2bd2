// SPDX-License-Identifier: Apache-2.0
//
// Plans a call: finds its tensors in the model, checks that what is given is as
// much as their shapes take, and finds the clients' shared memory that it names.
//
//   Begin -> AddInput ... AddOutput ... -> Finish
//
// in one go: it is one per event loop and keeps nothing of a call.  To plan
// again (when more of a request is known) is to begin again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "frontends/common/call_tensors.h"
#include "frontends/common/infer_plan.h"

namespace mlos::frontend {

class CallPlanner {
 public:
  CallPlanner() = default;
  CallPlanner(const RegionTable* regions, uint64_t most_bytes) { set_regions(regions, most_bytes); }

  // Where tensors in clients' shared memory are found, and how many bytes of
  // input one request may name there; without this they are refused.
  void set_regions(const RegionTable* regions, uint64_t most_bytes) {
    regions_ = regions;
    most_region_bytes_ = most_bytes;
  }

  // `in_sequence`: the client means a model that remembers, which none does.
  Status Begin(std::string_view model, const ModelInfo& info, bool in_sequence,
               tensor::RequestPlan* plan);
  // Sets desc.index and desc.bytes; these for BYTES of kElements are set by the
  // caller, before Finish.  What an input of kUnset has is not known yet:
  // CheckSize, when it is.
  Status AddInput(GivenInput* input);
  Status AddOutput(AskedOutput* output);
  // `inputs` are those of AddInput, in any order; `parameters` stay with the plan.
  Status Finish(std::span<const tensor::TensorDesc> inputs, std::string_view parameters);

 private:
  std::string Prefix() const;
  Status FindRegion(std::string_view what, std::string_view name, RegionPlace* place) const;

  PlanBuilder builder_;
  std::string_view model_;
  const ModelInfo* info_ = nullptr;
  tensor::RequestPlan* plan_ = nullptr;
  const RegionTable* regions_ = nullptr;
  uint64_t most_region_bytes_ = 0;
  uint64_t region_bytes_ = 0;  // of this call's inputs
};

// Whether what was given is what the shape takes, which is in desc.bytes; of
// BYTES it is set to what was given.
Status CheckSize(std::string_view model, GivenInput* input);

// Where the plan has an input: in the request's memory.
std::span<std::byte> PlaceOf(const tensor::RequestPlan& plan, uint32_t index,
                             std::span<std::byte> block);

// Copies an input of kRegion.  The client may write there at any time: what is
// looked at is the copy.
Status CopyRegion(const GivenInput& input, std::span<std::byte> to);

}  // namespace mlos::frontend
