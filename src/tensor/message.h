// SPDX-License-Identifier: Apache-2.0
//
// What a channel's blocks contain: an inference request and its response as
// descriptors plus data, position-independent.
//
//   request block   RequestHeader, TensorDesc[input_count],
//                   uint32_t outputs[output_count], parameters (JSON, NUL),
//                   tensor data, each aligned to kDataAlignment
//   response block  ResponseHeader, TensorDesc[output_count], text (no NUL);
//                   output data lie in blocks of their own
//
// All numbers are in the machine's byte order.  A TensorDesc names a segment
// and an offset in it, never an address.  The layout is documented in
// docs/channel.md and held by a golden test.
//
// Peers are untrusted: Read* copies every descriptor once into the caller's
// memory and validates the copy; nothing is read twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/datatype.h"

namespace mlos::tensor {

constexpr uint32_t kRequestMagic = 0x51524c4d;   // "MLRQ"
constexpr uint32_t kResponseMagic = 0x53524c4d;  // "MLRS"
constexpr uint32_t kMessageVersion = 1;
constexpr uint32_t kMaxTensors = 4096;          // inputs or outputs of one message
constexpr uint32_t kMaxParameterBytes = 65536;  // JSON text of custom parameters
constexpr uint32_t kMaxTextBytes = 4096;        // error text
constexpr uint64_t kDataAlignment = 64;

struct TensorDesc {
  uint32_t index = 0;  // position in the model's inputs or outputs
  uint32_t datatype = 0;
  uint32_t rank = 0;
  uint32_t segment = 0;
  uint64_t offset = 0;  // in the segment
  uint64_t bytes = 0;
  int64_t dims[kMaxRank] = {};

  std::span<const int64_t> shape() const { return {dims, rank}; }
};
static_assert(sizeof(TensorDesc) == 160);

struct RequestHeader {
  uint32_t magic = kRequestMagic;
  uint32_t version = kMessageVersion;
  uint32_t input_count = 0;
  uint32_t output_count = 0;     // 0: all
  uint32_t parameter_bytes = 0;  // without the NUL; 0: none
  uint32_t reserved = 0;
};
static_assert(sizeof(RequestHeader) == 24);

struct ResponseHeader {
  uint32_t magic = kResponseMagic;
  uint32_t version = kMessageVersion;
  int32_t code = 0;  // StatusCode
  uint32_t output_count = 0;
  uint32_t text_bytes = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(ResponseHeader) == 24);

// What a front end has understood of a request, before there is memory for it.
// One per connection, reused: vectors keep their capacity.
struct RequestPlan {
  std::vector<TensorDesc> inputs;  // index, datatype, rank, dims, bytes filled in; ascending index
  std::vector<uint32_t> outputs;   // asked for, ascending; empty: all
  std::string_view parameters;     // JSON object text or empty; not owned

  void Clear() {
    inputs.clear();
    outputs.clear();
    parameters = {};
  }
};

// Bytes the request block of `plan` needs, and the offset of each input's data
// from the block's start (written to inputs[i].offset).  False when the sum
// does not fit 48 bits.
bool LayOutRequest(RequestPlan* plan, uint64_t* block_bytes);

// Writes header, descriptors, outputs and parameters into `block`, which has
// room for what LayOutRequest said; it lies at `block_offset` of `segment`.
// Afterwards the caller fills the data: inputs[i] at block + inputs[i].offset.
void WriteRequest(const RequestPlan& plan, uint32_t segment, uint64_t block_offset,
                  std::span<std::byte> block);

// A copied and validated request.  `parameters` points to the copy in
// `parameter_text`.  Reused between requests.
struct RequestView {
  std::vector<TensorDesc> inputs;
  std::vector<uint32_t> outputs;
  std::vector<char> parameter_text;  // NUL-terminated when parameters are given
  bool has_parameters = false;
};

// Reads the descriptors of a request block.  Checked: magic, version, counts,
// lengths inside the block; per tensor: datatype known, rank, element count,
// bytes equal to shape × element size (except BYTES), ascending index.  That
// tensor data lie inside their segments is for the caller to check, who knows
// the segments; BYTES contents likewise (CheckBytesTensor).
Status ReadRequest(std::span<const std::byte> block, RequestView* view);

// Bytes a response block needs for `outputs` tensors and `text_bytes` of text.
uint64_t ResponseBlockBytes(uint32_t outputs, uint32_t text_bytes);
void WriteResponse(StatusCode code, std::span<const TensorDesc> outputs, std::string_view text,
                   std::span<std::byte> block);

struct ResponseView {
  StatusCode code = StatusCode::kOk;
  std::vector<TensorDesc> outputs;
  std::string text;
};
// As ReadRequest, for a response block written by an untrusted host.
Status ReadResponse(std::span<const std::byte> block, ResponseView* view);

}  // namespace mlos::tensor
