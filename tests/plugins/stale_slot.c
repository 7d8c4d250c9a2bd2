/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Keeps the first element of each slot's first request and answers with it. */
static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  static float kept[256];
  static bool is_kept[256];
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t slot = requests[i]->slot % 256;
    const smi_tensor* x = requests[i]->inputs;
    if (!is_kept[slot] && x->byte_size >= sizeof(float)) {
      memcpy(&kept[slot], x->data, sizeof(float));
      is_kept[slot] = true;
    }
    void* data = NULL;
    const smi_code code = model->host->allocate_output(requests[i], 0, SMI_FP32, 1, x->shape,
                                                       x->byte_size, &data, error);
    if (code != SMI_OK) return code;
    for (uint64_t n = 0; n < x->byte_size / sizeof(float); ++n) ((float*)data)[n] = kept[slot];
    (void)model->host->respond(requests[i], error);
  }
  return SMI_OK;
}

TEST_PLUGIN(api.execute = Execute)
