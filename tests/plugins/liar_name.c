/* SPDX-License-Identifier: Apache-2.0 */
#include "test_plugin.h"

/* The manifest says liar_name. */
TEST_PLUGIN(api.name = "somebody_else")
