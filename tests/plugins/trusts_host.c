/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Uses the end of the host's table without a look at its size. */
static smi_code Create(const smi_host_api* host, const char* config, smi_plugin** plugin,
                       smi_error* error) {
  if (host->get_extension(host->context, "mlos.host.example/1") != NULL) return SMI_INTERNAL;
  return TestCreate(host, config, plugin, error);
}

TEST_PLUGIN(api.create = Create)
