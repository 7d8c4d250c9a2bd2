// SPDX-License-Identifier: Apache-2.0
//
// The samples that a model's configuration declares to warm up with, for the
// plugin host that is to load it.  Control loop.
#pragma once

#include "backend/plugin_host.h"
#include "base/status.h"
#include "catalog/record.h"

namespace mlos::lifecycle {

constexpr int kMaxSamples = 100;
constexpr uint32_t kMaxSampleCount = 10'000;
constexpr size_t kMaxSampleFiles = 32;

// Adds them, and the open files of their data, which lie in the directory
// "warmup" of the model.  FAILED_PRECONDITION names the sample.
Status AddSamples(const catalog::ModelVersion& model, backend::ModelFiles* files);

}  // namespace mlos::lifecycle
