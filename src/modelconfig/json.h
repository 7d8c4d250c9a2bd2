// SPDX-License-Identifier: Apache-2.0
//
// A model's configuration as JSON, in the form that clients of the protocol
// know: names as in proto/model_config.proto, enumerations as their names,
// 64-bit numbers as numbers.  Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/model_config.pb.h"

namespace mlos::modelconfig {

// INVALID_ARGUMENT that begins with the field: "input[0].dims[1] is …".  Reads
// what ToJson writes, and what protocol buffers' own JSON may be besides: names
// in camelCase, numbers as text, enumerations as numbers.  Of ours: a parameter
// may stand as a plain value for {"string_value": …}.
StatusOr<inference::ModelConfig> FromJson(const boost::json::object& object);
StatusOr<inference::ModelConfig> ParseJson(std::string_view text);

enum class Form {
  kGiven,  // what is set
  kFull,   // plain fields also where they have their default; messages only where they are set
};
boost::json::object ToJson(const inference::ModelConfig& config, Form form);

}  // namespace mlos::modelconfig
