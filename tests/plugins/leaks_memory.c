/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Takes memory for each model and forgets about it. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  enum { kBytes = 20 << 20 };
  char* memory = (char*)malloc(kBytes);
  if (memory == NULL) return TestFail(error, SMI_RESOURCE_EXHAUSTED, "out of memory");
  for (int i = 0; i < kBytes; i += 64) memory[i] = (char)(i + 1); /* else it is no memory yet */
  const smi_code code = TestLoad(plugin, params, model, error);
  if (code == SMI_OK) (*model)->extra = memory;
  return code;
}

static void Unload(smi_plugin* plugin, smi_model* model) {
  static void* volatile kept; /* or the compiler may leave all of it out */
  kept = model->extra;
  (void)kept;
  TestUnload(plugin, model);
}

TEST_PLUGIN(api.load = Load; api.unload = Unload)
