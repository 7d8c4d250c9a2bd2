// SPDX-License-Identifier: Apache-2.0
//
// Base64 as RFC 4648, section 4, has it, with its padding and nothing else in it.
// Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos {

// INVALID_ARGUMENT, without context: another character, a length that is no multiple of
// four, or bits that no encoder leaves behind.
StatusOr<std::string> DecodeBase64(std::string_view text);

}  // namespace mlos
