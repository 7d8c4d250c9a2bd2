// SPDX-License-Identifier: Apache-2.0
//
// An inference request as HTTP carries it: JSON, perhaps followed by binary
// tensors (the binary tensor data extension).
//
// Read in three steps, between which the caller may wait:
//   Parse  what is asked for, without looking at the tensors' elements
//   Plan   against the model: tensors found and checked, sizes known
//   Fill   the elements, straight into the request's memory
//
// InferRequest is one per connection and reused; it points into the body.
// InferDecoder holds the memory of one parse and is one per event loop.
// One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "frontends/common/call_parameters.h"
#include "frontends/common/call_planner.h"
#include "frontends/common/call_tensors.h"
#include "frontends/http/options.h"
#include "frontends/http/request.h"
#include "tensor/message.h"
#include "tensor/model_info.h"

namespace mlos::http {

using frontend::Form;

struct InferInput : frontend::GivenInput {
  std::string_view data;     // kElements: the array, as it is written
  uint64_t blob_offset = 0;  // kBinary: in the body
};

// What one request may ask for.
struct InferLimits {
  uint32_t max_tensors = DefaultNumber(Id::kHttpMaxTensors);  // inputs, and outputs
  uint32_t max_json_depth = DefaultNumber(Id::kHttpMaxJsonDepth);
};

struct InferRequest : frontend::CallParameters {
  Body body;
  uint64_t json_bytes = 0;  // 0: the body is one raw tensor
  std::string_view id;
  bool binary_default = false;
  uint32_t max_json_depth = 0;
  std::vector<InferInput> inputs;
  std::vector<frontend::AskedOutput> outputs;  // empty: all

  void Clear();
  // Lets go of the regions that Plan has found.
  void ReleaseRegions();
  // Keeps what an escaped string says; the view lives until Clear.
  std::string_view Keep(std::string_view text);

  // Inference-Header-Content-Length: 0.  All outputs come back binary.
  bool raw() const { return json_bytes == 0; }

 private:
  std::deque<std::string> kept_;
};

class InferDecoder {
 public:
  explicit InferDecoder(InferLimits limits = {});
  ~InferDecoder();

  // Where tensors in clients' shared memory are found, and how many bytes of
  // input one request may name there; without this they are refused.
  void set_regions(const frontend::RegionTable* regions, uint64_t most_bytes) {
    planner_.set_regions(regions, most_bytes);
  }

  // `json_length` is Inference-Header-Content-Length, -1 if there is none.
  Status Parse(const Body& body, int64_t json_length, InferRequest* request);
  // `plan` points into `request`, too.
  Status Plan(std::string_view model, const ModelInfo& info, InferRequest* request,
              tensor::RequestPlan* plan);
  // `block` is the request's memory, laid out by `plan`.
  static Status Fill(std::string_view model, const InferRequest& request,
                     const tensor::RequestPlan& plan, std::span<std::byte> block);

  // Gives back the memory that very large documents took.
  void Trim();
  // Now and then: gives back what no request has needed for a second.
  void Rest(uint64_t now_ns);

 private:
  struct Parser;
  const InferLimits limits_;
  std::unique_ptr<Parser> parser_;
  uint64_t large_ns_ = 0;  // when it last read a document that needed much memory
  frontend::CallPlanner planner_;
  std::vector<tensor::TensorDesc> descs_;
};

}  // namespace mlos::http
