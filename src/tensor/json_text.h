// SPDX-License-Identifier: Apache-2.0
//
// Writing JSON: strings with their escapes, and tensors as flat arrays.  A library
// of its own, mlos_tensor_json: a plugin host writes none.
// Functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"
#include "tensor/datatype.h"

namespace mlos::tensor {

// "text", quoted and escaped.  What is not UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view text, Buffer* out);
void AppendJsonInt(int64_t value, Buffer* out);
// [1,2,3]
void AppendJsonShape(std::span<const int64_t> dims, Buffer* out);

// The elements as one flat array in row-major order.  `data` may lie in memory
// that another process can still write: every byte is read once.  Floating
// point is printed so that it reads back exactly, NaN and infinities as NaN,
// Infinity, -Infinity.
// INVALID_ARGUMENT: the datatype has no JSON form (FP16, BF16), or BYTES that
// are not UTF-8.  RESOURCE_EXHAUSTED: `out` would exceed `limit` bytes.
// INTERNAL: malformed BYTES.
Status AppendJsonTensor(Datatype datatype, uint64_t count, std::span<const std::byte> data,
                        uint64_t limit, Buffer* out);

}  // namespace mlos::tensor
