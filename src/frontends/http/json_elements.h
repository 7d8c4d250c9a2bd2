// SPDX-License-Identifier: Apache-2.0
//
// Elements of a tensor from a JSON array (flat, or nested in any way: only the
// row-major order and the number count), parsed where they are to lie.
//
// The text is what the JSON parser has marked out as one array: its strings
// are closed, valid UTF-8 and without control characters, and kBodyPadding
// bytes behind it may be read.  Everything else is checked here.
// Functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/status.h"
#include "frontends/http/options.h"
#include "tensor/datatype.h"

namespace mlos::http {

constexpr uint32_t kDefaultJsonDepth = DefaultNumber(Id::kHttpMaxJsonDepth);

// Writes exactly `count` elements to `out`, which has room for them.  For
// BYTES the encoded form.  INVALID_ARGUMENT says which element is wrong; the
// caller puts the tensor's name before it.
Status ParseElements(std::string_view text, tensor::Datatype datatype, uint64_t count,
                     std::span<std::byte> out, uint32_t max_depth = kDefaultJsonDepth);

// Size of the encoded form of an array of strings, and their number checked.
Status MeasureStrings(std::string_view text, uint64_t count, uint64_t* bytes,
                      uint32_t max_depth = kDefaultJsonDepth);

}  // namespace mlos::http
