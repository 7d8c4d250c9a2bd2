/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Unloading one model takes away what all of them need. */
static int* shared;

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  if (shared == NULL) shared = (int*)calloc(1, sizeof(int));
  return TestLoad(plugin, params, model, error);
}

static void Unload(smi_plugin* plugin, smi_model* model) {
  free(shared);
  shared = NULL;
  TestUnload(plugin, model);
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  if (shared == NULL) TestCrash();
  return TestExecute(model, requests, count, error);
}

TEST_PLUGIN(api.load = Load; api.unload = Unload; api.execute = Execute)
