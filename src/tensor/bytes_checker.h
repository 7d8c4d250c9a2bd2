// SPDX-License-Identifier: Apache-2.0
//
// CheckBytesTensor over data that arrive in pieces.
//
// A value; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"

namespace mlos::tensor {

class BytesChecker {
 public:
  // `count` elements in `total` bytes.
  explicit BytesChecker(uint64_t count = 0, uint64_t total = 0) : count_(count), total_(total) {}

  // All pieces together have no more than `total` bytes.
  Status Take(std::span<const std::byte> piece);
  // That was all of it.
  Status End() const;

 private:
  Status BeginElement(uint32_t length);

  uint64_t count_;
  uint64_t total_;
  uint64_t at_ = 0;
  uint64_t element_ = 0;  // those before it are whole
  uint64_t left_ = 0;     // of it
  size_t have_ = 0;       // of its length
  std::byte length_[sizeof(uint32_t)] = {};
};

}  // namespace mlos::tensor
