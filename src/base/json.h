// SPDX-License-Identifier: Apache-2.0
//
// JSON text from outside (clients, users, peers, the state store) as a value,
// so that writing the value gives the same again: a number with a fraction, an
// exponent or too many digits becomes the double nearest to it, one that no
// double can hold is refused, and so is a member that is given twice.  A
// library of its own, mlos_json: not every program reads JSON.  Pure; any thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string_view>

#include "base/status.h"

namespace mlos {

// Of what we have written ourselves, around what a client gave.
constexpr size_t kMaxJsonDepth = 64;

// INVALID_ARGUMENT: what is wrong, for whoever wrote the text; without context.
StatusOr<boost::json::value> ParseJson(std::string_view text, size_t max_depth = kMaxJsonDepth);

}  // namespace mlos
