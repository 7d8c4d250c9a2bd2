/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <time.h>

#include "test_plugin.h"

/* Says that four requests may run at once, and fails when two meet; takes a
 * millisecond, so that they do. */
static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  const smi_code code = TestLoad(plugin, params, model, error);
  if (code == SMI_OK) (*model)->info.max_concurrency = 4;
  return code;
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  static atomic_int running;
  const struct timespec nap = {0, 1000000};
  const bool met = atomic_fetch_add(&running, 1) > 0;
  nanosleep(&nap, NULL);
  atomic_fetch_sub(&running, 1);
  if (met) return TestFail(error, SMI_INTERNAL, "two requests at once");
  return TestExecute(model, requests, count, error);
}

TEST_PLUGIN(api.load = Load; api.execute = Execute)
