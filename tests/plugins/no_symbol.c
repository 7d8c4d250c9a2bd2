/* SPDX-License-Identifier: Apache-2.0 */
#include "mlos/smi.h"

/* The entry point of another major version only. */
SMI_EXPORT const smi_plugin_api* smi_plugin_entry_v99(void);
const smi_plugin_api* smi_plugin_entry_v99(void) { return NULL; }
