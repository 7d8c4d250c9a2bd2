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
#include "frontends/common/client_regions.h"
#include "tensor/message.h"

namespace mlos::grpc {

// Inputs of one request, and outputs that it asks for: more than models have;
// the time to find them all grows with the square.
constexpr size_t kMostTensors = 1024;

// Where in a client's shared memory a tensor is.
struct RegionPlace {
  std::string_view name;
  bool has_name = false;
  bool has_bytes = false;
  bool has_offset = false;
  uint64_t bytes = 0;
  uint64_t offset = 0;
  frontend::RegionPin pin;  // once it is found, until the request is over

  bool given() const { return has_name || has_bytes || has_offset; }
};

struct InferInput {
  std::string_view name;
  tensor::TensorDesc desc;  // datatype, rank, dims
  bool typed = false;       // there are contents
  std::string_view contents;
  RegionPlace place;
  uint64_t raw_offset = 0;  // for the job: where its raw contents are kept
};

struct InferOutput {
  std::string_view name;
  bool has_classes = false;
  uint64_t classes = 0;  // so many of the greatest elements instead of all; 0: all
  RegionPlace place;
  uint32_t index = 0;  // for the job: in the model
};

struct InferRequest {
  std::string_view model;
  std::string_view version;
  std::string_view id;
  uint64_t timeout_us = 0;   // 0: none given
  bool in_sequence = false;  // a sequence_id other than none
  std::vector<InferInput> inputs;
  std::vector<InferOutput> outputs;    // empty: all
  std::string parameters;              // custom ones, as a JSON object; or empty
  std::vector<size_t> parameter_keys;  // hashes of the names so far: none comes twice

  void Clear();
};

// INVALID_ARGUMENT: it is no such message, or says what no request may.  What
// stands before the fault is decoded.
Status DecodeInferRequest(std::string_view message, InferRequest* request);

}  // namespace mlos::grpc
