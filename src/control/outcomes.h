// SPDX-License-Identifier: Apache-2.0
//
// Outcomes of operations: the object, or the error with a hint what to do next.
// Pure.
#pragma once

#include <boost/json/value.hpp>

#include "control/operation.h"

namespace mlos::control {

Outcome Fail(const Operation& op, const Status& status);
Outcome Object(boost::json::value body);

}  // namespace mlos::control
