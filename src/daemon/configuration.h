// SPDX-License-Identifier: Apache-2.0
//
// What is checked about the daemon's options beyond each value by itself.
#pragma once

#include "options/read.h"

namespace mlos::daemon {

// Adds to the reading's faults.  May ask the system for a host's address.
void CheckConfiguration(options::Reading* reading);

}  // namespace mlos::daemon
