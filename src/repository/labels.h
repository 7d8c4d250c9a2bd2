// SPDX-License-Identifier: Apache-2.0
//
// What the classes of an output are called: a text file with a line for each.
// Any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "proto/model_config.pb.h"

namespace mlos::repository {

constexpr size_t kMaxLabelBytes = 4 << 20;  // of all outputs of a model
constexpr size_t kMaxLabels = 1'000'000;

using Labels = std::map<std::string, std::vector<std::string>>;  // by output

// Those of all outputs that name a file; each lies beneath `directory`, and is
// read once.
StatusOr<Labels> ReadLabels(int directory, const inference::ModelConfig& config);

}  // namespace mlos::repository
