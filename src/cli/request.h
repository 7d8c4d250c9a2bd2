// SPDX-License-Identifier: Apache-2.0
//
// From a command's values to the request of its row.  Pure but for files that
// a value names with @; one thread.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "cli/arguments.h"
#include "cli/client.h"

namespace mlos::cli {

// The row that takes as many arguments as were given.
const operations::OperationRow& ChooseRow(const Invocation& invocation);

// `version`: in place of an argument [VERSION] that was left out.
StatusOr<Request> BuildRequest(const operations::OperationRow& row, const Invocation& invocation,
                               const std::string& version);

// Everything but unreserved characters as %XX.
std::string PercentEncode(std::string_view text);

}  // namespace mlos::cli
