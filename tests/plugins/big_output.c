/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* X is one INT64: how many FP32 elements Y gets; element i is i. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  return TestLoadAs(plugin, params, SMI_INT64, SMI_FP32, model, error);
}

static void Answer(smi_model* model, const smi_request* request) {
  char text[256] = "";
  smi_error why = {sizeof why, sizeof text, text};
  const int64_t size = request->inputs->byte_size < 8 ? -1 : *(const int64_t*)request->inputs->data;
  if (size < 0 || size > INT64_MAX / 4) {
    model->host->fail(request, SMI_INVALID_ARGUMENT, "X is the number of elements, 0 or more");
    return;
  }
  void* data = NULL;
  const smi_code code =
      model->host->allocate_output(request, 0, SMI_FP32, 1, &size, (uint64_t)size * 4, &data, &why);
  if (code != SMI_OK) {
    model->host->fail(request, code, text);
    return;
  }
  for (int64_t i = 0; i < size; ++i) ((float*)data)[i] = (float)i;
  (void)model->host->respond(request, &why);
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)error;
  for (uint32_t i = 0; i < count; ++i) Answer(model, requests[i]);
  return SMI_OK;
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
