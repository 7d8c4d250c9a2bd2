/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Never looks at the artefact. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  (void)params, (void)error;
  smi_model* m = (smi_model*)calloc(1, sizeof *m);
  m->host = plugin->host;
  m->any_size = -1;
  TestSpec(&m->input, "X", SMI_FP32, &m->any_size);
  TestSpec(&m->output, "Y", SMI_FP32, &m->any_size);
  m->info.struct_size = sizeof m->info;
  m->info.input_count = m->info.output_count = 1;
  m->info.inputs = &m->input;
  m->info.outputs = &m->output;
  m->info.platform = "test";
  *model = m;
  return SMI_OK;
}

TEST_PLUGIN(api.load = Load)
