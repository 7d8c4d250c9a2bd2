/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  *(volatile char*)(uintptr_t)requests[0]->inputs->data = 1;
  return TestExecute(model, requests, count, error);
}

TEST_PLUGIN(api.execute = Execute)
