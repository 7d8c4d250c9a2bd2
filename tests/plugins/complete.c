/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Everything the contract offers at once: A, B and, optionally, C, FP32
 * [-1,2] each; SUM = A + B + C, DIFF = A - B; batches up to 8; four at once;
 * warm-up and properties. */
static const int64_t kShape[] = {-1, 2};
#define SPEC(n, o) \
  { sizeof(smi_tensor_spec), SMI_FP32, n, 2, o, kShape }
static const smi_tensor_spec kInputs[] = {SPEC("A", false), SPEC("B", false), SPEC("C", true)};
static const smi_tensor_spec kOutputs[] = {SPEC("SUM", false), SPEC("DIFF", false)};

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, error);
  if (code != SMI_OK) return code;
  smi_model_info* info = &(*model)->info;
  info->input_count = 3;
  info->inputs = kInputs;
  info->output_count = 2;
  info->outputs = kOutputs;
  info->max_batch_size = 8;
  info->max_concurrency = 4;
  return SMI_OK;
}

/* Arrays are strided by the struct_size of their first element. */
static const float* Input(const smi_request* request, uint32_t index) {
  for (uint32_t i = 0; i < request->input_count; ++i) {
    const smi_tensor* at = (const smi_tensor*)((const char*)request->inputs +
                                               (size_t)i * request->inputs->struct_size);
    if (at->index == index) return (const float*)at->data;
  }
  return NULL;
}

static smi_code Compute(smi_model* model, const smi_request* request, uint32_t output,
                        smi_error* error) {
  const smi_tensor* first = request->inputs;
  const float *a = Input(request, 0), *b = Input(request, 1), *c = Input(request, 2);
  void* data = NULL;
  const smi_code code = model->host->allocate_output(request, output, SMI_FP32, 2, first->shape,
                                                     first->byte_size, &data, error);
  if (code != SMI_OK) return code;
  for (uint64_t i = 0; i < first->byte_size / sizeof(float); ++i) {
    ((float*)data)[i] = output == 0 ? a[i] + b[i] + (c != NULL ? c[i] : 0) : a[i] - b[i];
  }
  return SMI_OK;
}

static void Answer(smi_model* model, const smi_request* request) {
  char text[256] = "";
  smi_error why = {sizeof why, sizeof text, text};
  const uint32_t count = request->output_count > 0 ? request->output_count : 2;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t output = request->output_count > 0 ? request->outputs[i] : i;
    const smi_code code = Compute(model, request, output, &why);
    if (code != SMI_OK) {
      model->host->fail(request, code, text);
      return;
    }
  }
  (void)model->host->respond(request, &why);
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)error;
  for (uint32_t i = 0; i < count; ++i) Answer(model, requests[i]);
  return SMI_OK;
}

static smi_code WarmUp(smi_model* model, smi_error* error) {
  return model->host != NULL ? SMI_OK : TestFail(error, SMI_INTERNAL, "no host");
}

static const char* Properties(smi_plugin* plugin) {
  (void)plugin;
  return "{\"providers\": [\"cpu\"]}";
}

static const void* GetExtension(const char* id) {
  static const smi_ext_warm_up kWarmUp = {sizeof kWarmUp, 0, WarmUp};
  static const smi_ext_properties kProperties = {sizeof kProperties, 0, Properties};
  if (strcmp(id, SMI_EXT_WARM_UP) == 0) return &kWarmUp;
  if (strcmp(id, SMI_EXT_PROPERTIES) == 0) return &kProperties;
  return NULL;
}

TEST_PLUGIN(api.load = Load; api.execute = Execute; api.get_extension = GetExtension)
