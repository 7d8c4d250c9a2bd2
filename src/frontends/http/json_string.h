// SPDX-License-Identifier: Apache-2.0
//
// A JSON string's text without its escapes.  Functions without state.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlos::http {

// Reads the string whose opening quote is at `p`; the parser has seen to it
// that it is closed.  Writes its text to `out` if that is not null, and says
// how long it is.  Never writes more than the string takes as JSON.
// Returns the byte behind the closing quote, or null for an escape that does
// not exist or half a surrogate pair.
const char* UnescapeString(const char* p, char* out, size_t* length);

}  // namespace mlos::http
