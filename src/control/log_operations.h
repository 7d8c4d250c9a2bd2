// SPDX-License-Identifier: Apache-2.0
//
// The operations on logs.  No state but that of base/log.h; any thread.
#pragma once

#include "base/log_ring.h"
#include "control/operation.h"

namespace mlos::control {

// kGetLogLevel, kSetLogLevel, kGetLogSettings, kSetLogSettings, kReadLog.
// Errors come without a hint.
Outcome ApplyLogOperation(const Operation& op);

// A page of `ring` as the operation's query asks for it; null: an empty one.
Outcome ReadLogLines(const Operation& op, const LogRing* ring);

}  // namespace mlos::control
