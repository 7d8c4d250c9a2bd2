// SPDX-License-Identifier: Apache-2.0
//
// A model's configuration in the text form of protocol buffers: config.pbtxt.
// Read as untrusted input: bounded, and everything in it is what the messages
// of proto/model_config.proto allow.  Pure; any thread.
#pragma once

#include <string_view>

#include "base/status.h"
#include "proto/model_config.pb.h"

namespace mlos::modelconfig {

constexpr size_t kMaxTextBytes = 1 << 20;

// INVALID_ARGUMENT: "line 3, column 7: …".
StatusOr<inference::ModelConfig> ParseText(std::string_view text);

// What the readers of both forms refuse beside what they cannot read: texts that
// are not UTF-8, numbers that an enumeration does not know.  The text begins
// with the field: "input[0].name …".
Status Validate(const google::protobuf::Message& message);

}  // namespace mlos::modelconfig
