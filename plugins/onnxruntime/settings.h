// SPDX-License-Identifier: Apache-2.0
//
// Settings: what a model's configuration says to this plugin.  Every setting,
// its default and its range stand here; README.md has the same table for users.
// Plain values; ParseSettings is pure.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_SETTINGS_H_
#define MLOS_PLUGINS_ONNXRUNTIME_SETTINGS_H_

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace mlos::onnxrt {

struct Settings {
  uint32_t max_batch_size = 0;
  uint32_t instances = 0;  // 0: not said

  uint32_t intra_op_threads = 0;  // 0: as many as were granted
  uint32_t inter_op_threads = 1;
  bool parallel_execution = false;
  bool allow_spinning = false;
  GraphOptimizationLevel optimization = ORT_ENABLE_ALL;
  bool cpu_mem_arena = true;
  bool mem_pattern = true;
  bool stateful = false;

  // Parameters that this plugin does not know; they are not an error.
  std::vector<std::string> unknown;
};

// `config` is a ModelConfig as JSON.
Error ParseSettings(std::string_view config, Settings* settings);

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_SETTINGS_H_
