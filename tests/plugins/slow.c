/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "test_plugin.h"

/* X is one INT64: milliseconds to take.  Gives up when nobody waits. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  return TestLoadAs(plugin, params, SMI_INT64, SMI_INT64, model, error);
}

static int64_t NowMillis(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)error;
  for (uint32_t i = 0; i < count; ++i) {
    const struct timespec nap = {0, 1000000};
    const int64_t begin = NowMillis();
    const int64_t take =
        requests[i]->inputs->byte_size < 8 ? 0 : *(const int64_t*)requests[i]->inputs->data;
    bool cancelled = false;
    while (!cancelled && NowMillis() - begin < take) {
      nanosleep(&nap, NULL);
      cancelled = model->host->is_cancelled(requests[i]);
    }
    if (cancelled) {
      model->host->fail(requests[i], SMI_CANCELLED, "nobody waits for this answer");
    } else {
      TestEcho(model, requests[i]);
    }
  }
  return SMI_OK;
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
