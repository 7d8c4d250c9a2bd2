// SPDX-License-Identifier: Apache-2.0
//
// What is noted of one traced request, and its text.  Filled by the front loop
// that has the request, then handed to the writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/datatype.h"

namespace mlos::trace {

// Of a tensor's data so much is kept at most.
constexpr size_t kMostTensorBytes = 64 << 10;
// And of all tensors of one request.
constexpr size_t kMostRecordBytes = 1 << 20;

struct Record {
  struct Stamp {
    std::string_view name;  // a constant
    uint64_t ns = 0;        // CLOCK_MONOTONIC
  };
  struct Tensor {
    std::string_view activity;  // a constant
    std::string name;
    tensor::Datatype datatype = tensor::Datatype::kInvalid;
    std::vector<int64_t> shape;
    std::vector<std::byte> data;  // the beginning of it
    bool cut = false;             // there was more
  };

  uint64_t id = 0;
  uint8_t level = 0;
  uint32_t log_frequency = 0;
  std::string model;
  std::string version;
  std::string request_id;
  std::string traceparent;
  std::vector<Stamp> stamps;
  std::vector<Tensor> tensors;
  size_t tensor_bytes = 0;

  // A time that is not known, 0, is left out.
  void Note(std::string_view name, uint64_t ns) {
    if (ns != 0) stamps.push_back({name, ns});
  }
  void Note(std::string_view activity, std::string_view name, tensor::Datatype datatype,
            std::span<const int64_t> shape, std::span<const std::byte> data);
};

// Several JSON objects, with commas between them: the protocol's trace format.
std::string Text(const Record& record);

}  // namespace mlos::trace
