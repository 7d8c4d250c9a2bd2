/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* 256 KiB on each of standard output and error per request, with what a
 * careless terminal would obey, before the answer. */
static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)error;
  for (uint32_t i = 0; i < count; ++i) {
    for (int line = 0; line < 4096; ++line) {
      fprintf(stdout, "\x1b[31mline %5d of standard output, which nobody asked for\r\n", line);
      fprintf(stderr, "\x1b[2J line %5d of standard error, which nobody asked for \r\n", line);
    }
    fflush(stdout);
    TestEcho(model, requests[i]);
  }
  return SMI_OK;
}

TEST_PLUGIN(api.execute = Execute)
