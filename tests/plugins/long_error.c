/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Writes its reason whatever the room. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, NULL);
  if (code != SMI_OK && error != NULL) {
    volatile char* text = error->text;
    for (int i = 0; i < 8192; ++i) text[i] = 'x';
    text[8192] = '\0';
  }
  return code;
}

TEST_PLUGIN(api.load = Load)
