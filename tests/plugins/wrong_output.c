/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Asks for outputs that were not declared: another datatype, a size that does
 * not fit the shape, too many dimensions, an index that does not exist; takes
 * no notice of refusals and answers as if all were well. */
static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  static const int64_t kShape[17] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
  static const int64_t kNegative[1] = {-4};
  const smi_host_api* host = model->host;
  for (uint32_t i = 0; i < count; ++i) {
    void* data = NULL;
    (void)host->allocate_output(requests[i], 0, SMI_INT64, 1, kShape, 32, &data, error);
    (void)host->allocate_output(requests[i], 0, SMI_FP32, 1, kShape, 1u << 20, &data, error);
    (void)host->allocate_output(requests[i], 0, SMI_FP32, 1, kNegative, 16, &data, error);
    (void)host->allocate_output(requests[i], 0, SMI_FP32, 17, kShape, 16, &data, error);
    (void)host->allocate_output(requests[i], 7, SMI_FP32, 1, kShape, 16, &data, error);
    (void)host->respond(requests[i], error);
  }
  return SMI_OK;
}

TEST_PLUGIN(api.execute = Execute)
