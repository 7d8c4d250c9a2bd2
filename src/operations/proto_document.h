// SPDX-License-Identifier: Apache-2.0
//
// The management surface as a service of protocol buffers, made from the
// tables: proto/mlos/v1/management.proto, which a test compares.
//
// A request has the parameters of the path and the fields, an object its members,
// by their numbers.  These, and the types, never change: a test compares them with
// management.numbers beside the page, to which lines are only added.
// Pure; any thread.
#pragma once

#include <string>

#include "operations/operations.h"

namespace mlos::operations {

// Of an object without members, which is any: its only field.
inline constexpr uint32_t kDocumentNumber = 1;
// What takes long answers with a message of these two.
inline constexpr uint32_t kDoneNumber = 1;
inline constexpr uint32_t kObjectNumber = 2;

std::string ProtoDocument();

// "LoadPlugin" of "mlos.v1.Management/LoadPlugin".
std::string_view MethodName(const OperationRow& row);

}  // namespace mlos::operations
