/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <time.h>

#include "test_plugin.h"

/* X is one INT64.  -2: dies of SIGKILL, as where memory runs out; else below 0:
 * stores to address 0.  Otherwise behaves, after so many milliseconds, four at
 * once; a request that nobody waits for ends early. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoadAs(plugin, params, SMI_INT64, SMI_INT64, model, error);
  if (code == SMI_OK) (*model)->info.max_concurrency = 4;
  return code;
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)error;
  for (uint32_t i = 0; i < count; ++i) {
    int64_t left = *(const int64_t*)requests[i]->inputs->data;
    if (left == -2) raise(SIGKILL);
    if (left < 0) TestCrash();
    for (; left > 0 && !model->host->is_cancelled(requests[i]); --left) {
      const struct timespec nap = {0, 1000000};
      nanosleep(&nap, NULL);
    }
    TestEcho(model, requests[i]);
  }
  return SMI_OK;
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
