// SPDX-License-Identifier: Apache-2.0
//
// The routes by which local clients register their shared memory.
// Functions without state; the event loop's thread.
#pragma once

#include <string_view>

#include "frontends/common/client_regions.h"
#include "frontends/http/request.h"
#include "frontends/http/response.h"
#include "frontends/http/router.h"

namespace mlos::http {

// `target` is one of the six; `name` is the region's, or empty: all.
void AnswerRegions(Target target, std::string_view name, frontend::RegionTable& regions,
                   const Body& body, Response* response);

}  // namespace mlos::http
