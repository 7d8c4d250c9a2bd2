/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* strncpy: fills the buffer and leaves no room for the NUL. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, NULL);
  static const char kText[] = "this model cannot be loaded, for reasons that take their time";
  if (code != SMI_OK && error != NULL) {
    memcpy(error->text, kText, error->capacity < sizeof kText ? error->capacity : sizeof kText);
  }
  return code;
}

TEST_PLUGIN(api.load = Load)
