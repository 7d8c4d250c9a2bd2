// SPDX-License-Identifier: Apache-2.0
//
// What a datatype demands of an input's bytes: the lengths of BYTES, BOOL of 0
// and 1.  The bytes may come in pieces, so that an event loop need not look at
// a large tensor in one go.
//
// A value; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "tensor/bytes_checker.h"
#include "tensor/message.h"

namespace mlos::frontend {

class ElementChecker {
 public:
  ElementChecker() = default;
  // Of an input that is planned: shape and bytes are known.
  explicit ElementChecker(const tensor::TensorDesc& desc);

  Status Take(std::span<const std::byte> piece);
  // That was all of it.
  Status End() const;

 private:
  tensor::Datatype datatype_ = tensor::Datatype::kInvalid;
  uint64_t at_ = 0;
  tensor::BytesChecker strings_;
};

// All at once.
Status CheckElements(const tensor::TensorDesc& desc, std::span<const std::byte> elements);

}  // namespace mlos::frontend
