// SPDX-License-Identifier: Apache-2.0
//
// The "parameters" objects of an inference request: those that the protocol
// reserves are acted on, custom ones are passed on to the model, and
// extensions that this server does not have are refused by name.
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
// Of an input: binary_data_size.
Status ParseInputParameters(simdjson::ondemand::value value, std::optional<uint64_t>* binary_size);
// Of an output: binary_data.
Status ParseOutputParameters(simdjson::ondemand::value value, Form* form);

}  // namespace mlos::http
