// SPDX-License-Identifier: Apache-2.0
//
// Names that people give to plugins, models, formats and versions.  One rule
// for all of them, so that a name is always safe as a path segment, a URL
// segment, a metric label and a word in a log.  Pure functions; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos {

constexpr size_t kMaxNameLength = 128;

// 1 to 128 characters of A-Z a-z 0-9 . _ - of which the first is a letter or a
// digit.  In particular never "", ".", ".." and never with a '/'.
bool IsValidName(std::string_view name);

// OK, or INVALID_ARGUMENT: "model name 'a/b' has '/' at position 2; …".
// `what` says what is being named: "model name".
Status ValidateName(std::string_view what, std::string_view name);

// Untrusted text for a message: in single quotes, control characters escaped,
// cut to `limit` bytes.
std::string Quoted(std::string_view text, size_t limit = 80);

}  // namespace mlos
