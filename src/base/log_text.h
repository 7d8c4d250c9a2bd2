// SPDX-License-Identifier: Apache-2.0
//
// The pieces of a log's line as text, the same wherever such a line is shown.
// Of texts that are escaped already.  Pure but for the machine's time zone; any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/log_ring.h"

namespace mlos {

// Local time: "2023-11-14T23:13:20.123+0100".
std::string LogTextTime(int64_t time_ms);

// ` name=value` for each that has a value; what a reader would split is quoted.
void AppendLogFields(std::span<const LogField> fields, std::string* out);

// In quotes, with quotes and backslashes escaped.
void AppendLogQuoted(std::string_view text, std::string* out);

}  // namespace mlos
