// SPDX-License-Identifier: Apache-2.0
//
// An inference as HTTP has it, as messages of the Open Inference Protocol and
// back: of both the client is asked for the first.
//
// Numbers are read as 64-bit ones; what JSON has no form for, it has none here.
// Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "cli/client.h"

namespace mlos::cli {

// ModelInferRequest.  INVALID_ARGUMENT: the body is not what HTTP takes.
StatusOr<std::string> EncodeInfer(const Request& request);
// From ModelInferResponse.  INVALID_ARGUMENT: an output has no form in JSON.
StatusOr<std::string> DecodeInfer(std::string_view message);

// ModelMetadataRequest, and from ModelMetadataResponse.
std::string EncodeDescribe(const Request& request);
StatusOr<std::string> DecodeDescribe(std::string_view message);

}  // namespace mlos::cli
