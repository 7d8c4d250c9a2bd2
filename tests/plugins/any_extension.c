/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* Has every extension that anybody can name. */
static const void* GetExtension(const char* id) {
  static const smi_ext_warm_up kWarmUp = {sizeof kWarmUp, 0, NULL};
  (void)id;
  return &kWarmUp;
}

TEST_PLUGIN(api.get_extension = GetExtension)
