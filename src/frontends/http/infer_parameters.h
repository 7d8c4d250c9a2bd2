// SPDX-License-Identifier: Apache-2.0
//
// The "parameters" objects of an inference request: those that the protocol
// reserves are acted on, custom ones are passed on to the model.
// Functions without state.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>

#include "base/status.h"
#include "frontends/http/infer_request.h"

namespace mlos::http {

// Of the request: timeout, binary_data_output, …; custom ones become
// request->parameters.
Status ParseRequestParameters(simdjson::ondemand::value value, InferRequest* request);
// Of an input: binary_data_size, or where it is in a client's shared memory.
Status ParseInputParameters(simdjson::ondemand::value value, InferRequest* request,
                            InferInput* input, std::optional<uint64_t>* binary_size);
// Of an output: binary_data, classification, or where it is to go.
Status ParseOutputParameters(simdjson::ondemand::value value, InferRequest* request,
                             frontend::AskedOutput* output);

}  // namespace mlos::http
