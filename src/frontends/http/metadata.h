// SPDX-License-Identifier: Apache-2.0
//
// What GET /v2, GET /v2/models and GET /v2/models/{m} answer.  Functions without
// state.
#pragma once

#include <string_view>

#include "base/buffer.h"
#include "engine/route.h"
#include "frontends/common/extensions.h"
#include "frontends/http/options.h"

namespace mlos::http {

void AppendServerMetadata(const HttpOptions& options, const frontend::Offered& offered,
                          Buffer* out);

// `route` is ready; with an explicit `version` only that one is listed, else
// all that are ready.
void AppendModelMetadata(const engine::ModelRoute& route, const engine::RoutingTable& table,
                         bool explicit_version, Buffer* out);

// The names of all models, whatever state they are in; KServe's clients ask.
void AppendModelList(const engine::RoutingTable& table, Buffer* out);

}  // namespace mlos::http
