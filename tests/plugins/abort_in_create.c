/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

static smi_code Create(const smi_host_api* host, const char* config, smi_plugin** plugin,
                       smi_error* error) {
  (void)host, (void)config, (void)plugin, (void)error;
  abort();
}

TEST_PLUGIN(api.create = Create)
