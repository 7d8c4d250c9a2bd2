// SPDX-License-Identifier: Apache-2.0
//
// Whether a text is UTF-8.  Pure; any thread.
#pragma once

#include <string_view>

namespace mlos {

// Every byte belongs to a character in its shortest form, and none is a surrogate.
bool IsUtf8(std::string_view text);

}  // namespace mlos
