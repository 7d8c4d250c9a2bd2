// SPDX-License-Identifier: Apache-2.0
//
// The operations on trace settings.  No state but the tracer's; any thread.
#pragma once

#include "control/operation.h"
#include "trace/tracer.h"

namespace mlos::control {

// kGetTraceSettings, kSetTraceSettings; that there is such a model was checked.
// Errors come without a hint.
Outcome ApplyTraceOperation(const Operation& op, trace::Tracer& tracer);

}  // namespace mlos::control
