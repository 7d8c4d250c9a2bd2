// SPDX-License-Identifier: Apache-2.0
//
// A request's members against the fields of its operation.  Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string_view>

#include "base/status.h"
#include "operations/operations.h"

namespace mlos::operations {

// INVALID_ARGUMENT, naming the member: one that the operation does not know,
// one that is missing, one of another type.
Status CheckMembers(const OperationRow& row, const boost::json::object& members);

// A parameter of a query or of a command line in the type of its field, for
// CheckMembers; text that is none of that type stays a string, and is refused
// there in its own words.  INVALID_ARGUMENT: it would be an object, but for a
// fault inside.
StatusOr<boost::json::value> ReadParameter(Type type, std::string_view text);

}  // namespace mlos::operations
