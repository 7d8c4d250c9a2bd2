// SPDX-License-Identifier: Apache-2.0
//
// The one table from canonical codes to what a protocol says.  A constant; any
// thread.
#pragma once

#include <string_view>

#include "base/status.h"

namespace mlos::frontend {

// The two HTTP surfaces disagree in places: inference follows the protocol's
// servers, management follows what the status means.
enum class Surface { kInference, kManagement };

int HttpStatus(StatusCode code, Surface surface);

// True where the client is told to come back (Retry-After).
bool IsRetryable(StatusCode code);

// "Not Found" for 404; every status that this server sends has one.
std::string_view HttpReason(int status);

}  // namespace mlos::frontend
