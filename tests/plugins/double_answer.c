/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Answers, answers again, and fails what it has answered. */
static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  for (uint32_t i = 0; i < count; ++i) {
    TestEcho(model, requests[i]);
    (void)model->host->respond(requests[i], error);
    model->host->fail(requests[i], SMI_INTERNAL, "second thoughts");
  }
  return SMI_OK;
}

TEST_PLUGIN(api.execute = Execute)
