/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* The table says that it ends before its functions. */
TEST_PLUGIN(api.struct_size = offsetof(smi_plugin_api, create))
