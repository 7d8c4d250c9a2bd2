/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "test_plugin.h"

/* Until killed; asks nothing, answers nothing, takes no processor time. */
static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)model, (void)count, (void)error;
  while (requests != NULL) pause();
  return SMI_INTERNAL;
}

TEST_PLUGIN(api.execute = Execute)
