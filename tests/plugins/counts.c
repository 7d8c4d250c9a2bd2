/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Answers the number of requests so far, and says that it may be run again. */
static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  static float requests_so_far;
  for (uint32_t i = 0; i < count; ++i) {
    const smi_tensor* x = requests[i]->inputs;
    void* data = NULL;
    const smi_code code = model->host->allocate_output(requests[i], 0, SMI_FP32, 1, x->shape,
                                                       x->byte_size, &data, error);
    if (code != SMI_OK) return code;
    ++requests_so_far;
    for (uint64_t n = 0; n < x->byte_size / sizeof(float); ++n) {
      ((float*)data)[n] = requests_so_far;
    }
    (void)model->host->respond(requests[i], error);
  }
  return SMI_OK;
}

TEST_PLUGIN(api.execute = Execute)
