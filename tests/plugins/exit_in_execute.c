/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)model, (void)requests, (void)count, (void)error;
  exit(7);
}

TEST_PLUGIN(api.execute = Execute)
