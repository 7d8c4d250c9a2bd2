/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Error texts that are not UTF-8: in load where the configuration says
 * "refuse", otherwise in execute. */
static const char kText[] = "\xff\xfe caf\xe9 \x1b[2J";

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  if (strstr(params->config, "\"refuse\"") != NULL) {
    return TestFail(error, SMI_INVALID_ARGUMENT, kText);
  }
  return TestLoad(plugin, params, model, error);
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)model, (void)requests, (void)count;
  return TestFail(error, SMI_INTERNAL, kText);
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
