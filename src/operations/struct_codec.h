// SPDX-License-Identifier: Apache-2.0
//
// JSON objects as google.protobuf.Struct, and back, without the library's
// objects in between.
//
// What JSON has and a Struct has not: whole numbers beyond 2^53 become the
// double nearest to them.  What a Struct has and JSON has not, a number that is
// not finite, is refused.  Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"

namespace mlos::operations {

// The fields of a Struct.  The object is our own or was read by ParseJson, which
// bounds how deep it is.
void AppendStruct(const boost::json::object& object, Buffer* out);

// Adds what is in the message to `object`; of two members of one name the last
// counts.  INVALID_ARGUMENT: no Struct, one that is nested too deeply, a text
// that is not UTF-8.
Status ReadStruct(std::string_view message, boost::json::object* object);

}  // namespace mlos::operations
