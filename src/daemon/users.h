// SPDX-License-Identifier: Apache-2.0
//
// Users as people name them in an option.  Asks the system; any thread.
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "base/status.h"

namespace mlos::daemon {

// "alice,1001": names and numbers with commas between.  INVALID_ARGUMENT: a
// name that nobody has, or nothing between two commas.
StatusOr<std::vector<uid_t>> ReadUsers(std::string_view text);

}  // namespace mlos::daemon
