/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

TEST_PLUGIN(api.version_major = 99)
