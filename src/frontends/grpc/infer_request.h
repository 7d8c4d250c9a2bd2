// SPDX-License-Identifier: Apache-2.0
//
// What a ModelInferRequest says beside its raw contents, read by hand from the
// message's bytes: names and typed contents stay where they lie, and a request
// costs little more memory than it has bytes; what inputs take is counted.
//
// One per inference, reused; its views are of the bytes that were decoded.
// One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "frontends/common/call_parameters.h"
#include "frontends/common/call_tensors.h"

namespace mlos::grpc {

// Inputs of one request, and outputs that it asks for: more than models have;
// the time to find them all grows with the square.
constexpr size_t kMostTensors = 1024;

struct InferInput : frontend::GivenInput {
  std::string_view contents;  // kElements: as they came
  uint64_t raw_offset = 0;    // for the job: where its raw contents are kept
};

struct InferRequest : frontend::CallParameters {
  std::string_view model;
  std::string_view version;
  std::string_view id;
  uint64_t head_bytes = 0;  // beside the tensors' elements
  std::vector<InferInput> inputs;
  std::vector<frontend::AskedOutput> outputs;  // empty: all

  void Clear();
};

// INVALID_ARGUMENT: it is no such message, or says what no request may.  What
// stands before the fault is decoded.  Inputs without contents or a place in
// shared memory are Form::kUnset: theirs are raw, if there are any.
Status DecodeInferRequest(std::string_view message, InferRequest* request);

}  // namespace mlos::grpc
