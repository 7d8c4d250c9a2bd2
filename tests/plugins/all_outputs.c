/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Two outputs, always both, whatever was asked for; and an array of specs that
 * is a newer version's. */
static const int64_t kShape[] = {-1};
static const struct {
  smi_tensor_spec spec;
  uint64_t newer;
} kOutputs[] = {{{sizeof kOutputs[0], SMI_FP32, "Y", 1, false, kShape}, 0},
                {{sizeof kOutputs[0], SMI_FP32, "Z", 1, false, kShape}, 0}};

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, error);
  if (code != SMI_OK) return code;
  (*model)->info.output_count = 2;
  (*model)->info.outputs = &kOutputs[0].spec;
  return SMI_OK;
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  for (uint32_t i = 0; i < count; ++i) {
    const smi_tensor* x = requests[i]->inputs;
    for (uint32_t output = 0; output < 2; ++output) {
      void* data = NULL;
      const smi_code code = model->host->allocate_output(requests[i], output, SMI_FP32, 1, x->shape,
                                                         x->byte_size, &data, error);
      if (code != SMI_OK) return code;
      memcpy(data, x->data, x->byte_size);
    }
    (void)model->host->respond(requests[i], error);
  }
  return SMI_OK;
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
