/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "test_plugin.h"

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  (void)!dup(STDERR_FILENO);
  return TestLoad(plugin, params, model, error);
}

TEST_PLUGIN(api.load = Load)
