/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Says that it takes batches; its tensors have no room for them. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, error);
  if (code != SMI_OK) return code;
  (*model)->info.max_batch_size = 8;
  (*model)->any_size = 4;
  return SMI_OK;
}

TEST_PLUGIN(api.load = Load)
