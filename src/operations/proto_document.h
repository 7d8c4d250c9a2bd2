// SPDX-License-Identifier: Apache-2.0
//
// The management surface as a service of protocol buffers, made from the
// tables: proto/mlos/v1/management.proto, which a test compares.
//
// A request has the parameters of the path and then the fields, an object its
// members, each numbered in its order: rows grow at their end only.
// Pure; any thread.
#pragma once

#include <string>

#include "operations/operations.h"

namespace mlos::operations {

std::string ProtoDocument();

// "LoadPlugin" of "mlos.v1.Management/LoadPlugin".
std::string_view MethodName(const OperationRow& row);

}  // namespace mlos::operations
