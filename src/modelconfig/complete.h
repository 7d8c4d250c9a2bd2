// SPDX-License-Identifier: Apache-2.0
//
// A model's configuration against the model: what it leaves unsaid is filled
// in, what it says wrongly is named.  Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/model_config.pb.h"
#include "tensor/model_info.h"

namespace mlos::modelconfig {

inference::DataType WireDatatype(tensor::Datatype datatype);
tensor::Datatype DatatypeOf(inference::DataType type);  // kInvalid for TYPE_INVALID

// What can be said before the model is loaded: FAILED_PRECONDITION where the
// configuration is for a model of another name or for another plugin.
Status CheckIdentity(const inference::ModelConfig& config, std::string_view model,
                     std::string_view plugin);

// FAILED_PRECONDITION with the first contradiction: names, datatypes, dimensions,
// batch size.
Status Check(const inference::ModelConfig& config, const ModelInfo& info);

// Fills in what is missing of a configuration that Check found sound: name,
// backend, platform, max_batch_size, inputs and outputs in the model's order.
void Complete(std::string_view model, std::string_view plugin, const ModelInfo& info,
              inference::ModelConfig* config);

}  // namespace mlos::modelconfig
