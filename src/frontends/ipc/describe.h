// SPDX-License-Identifier: Apache-2.0
//
// What the local protocol says of a model that is ready.  Views point to the route,
// the table and what was asked.
#pragma once

#include "engine/route.h"
#include "ipc/message.h"

namespace mlos::ipc {

// With an explicit version that alone is listed, else all that are ready.
ModelDescription DescriptionOf(const engine::ModelRoute& route, const engine::RoutingTable& table,
                               const AskModel& ask);

}  // namespace mlos::ipc
