/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Opens a file of the artefact long after load, for the first request. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, error);
  if (code == SMI_OK) (*model)->extra = (void*)(uintptr_t)params->artefact;
  return code;
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  smi_blob blob = {sizeof blob, -1, NULL, 0};
  (void)model->host->open_artefact((const smi_artefact*)model->extra, NULL, &blob, error);
  return TestExecute(model, requests, count, error);
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
