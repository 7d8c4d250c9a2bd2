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

// Of an operation that takes no more than what stands in its path.
Request RequestFor(operations::OperationKind kind, const std::string& name = {},
                   const std::string& version = {});
// An inference, without its body, and the description of the model.
Request InferRequest(const std::string& model, const std::string& version);
Request DescribeRequest(const std::string& model, const std::string& version);

// Everything but unreserved characters as %XX.
std::string PercentEncode(std::string_view text);

}  // namespace mlos::cli
