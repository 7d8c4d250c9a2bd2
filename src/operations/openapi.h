// SPDX-License-Identifier: Apache-2.0
//
// The management surface as an OpenAPI 3.1 document, made from the tables.
// Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

namespace mlos::operations {

boost::json::object OpenApi(std::string_view daemon_version);

}  // namespace mlos::operations
