/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Two inputs, of which the second is looked for as if the host's structs had
 * the size that they have here. */
static const int64_t kShape[] = {-1};
static const smi_tensor_spec kInputs[] = {
    {sizeof(smi_tensor_spec), SMI_FP32, "X", 1, false, kShape},
    {sizeof(smi_tensor_spec), SMI_FP32, "W", 1, false, kShape}};

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, error);
  if (code != SMI_OK) return code;
  (*model)->info.input_count = 2;
  (*model)->info.inputs = kInputs;
  return SMI_OK;
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  if (requests[0]->inputs[1].index != 1) {
    return TestFail(error, SMI_INTERNAL, "the second input is not W");
  }
  return TestExecute(model, requests, count, error);
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
