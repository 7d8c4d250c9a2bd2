// SPDX-License-Identifier: Apache-2.0
//
// The calls that are not inference: how the server is, what a model takes, an
// operation of the control path.  One object for each.
//
// Threads: the event loop's.  Lifetime: the connection's.
#pragma once

#include <memory>

#include "frontends/ipc/context.h"
#include "frontends/ipc/pending.h"
#include "ipc/wire.h"

namespace mlos::ipc {

// Null: there is no such message, or it is none of these.
std::unique_ptr<Pending> NewSmallCall(Ask type, Context& context, CallOwner& owner);

}  // namespace mlos::ipc
