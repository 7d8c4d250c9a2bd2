/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include "test_plugin.h"

/* Behaves; but as long as a file hold-STEP lies beside its library, that step
 * waits, and where a file fail-STEP lies there, it fails.  Steps: create, load,
 * execute, unload, destroy. */
static int IsThere(const char* what, const char* step) {
  char path[4096];
  Dl_info self;
  if (dladdr((void*)&IsThere, &self) == 0) return 0;
  const char* slash = strrchr(self.dli_fname, '/');
  const int length = slash == NULL ? 0 : (int)(slash - self.dli_fname) + 1;
  snprintf(path, sizeof path, "%.*s%s-%s", length, self.dli_fname, what, step);
  return access(path, F_OK) == 0;
}

static int Step(const char* step) {
  const struct timespec nap = {0, 1000000};
  while (IsThere("hold", step)) nanosleep(&nap, NULL);
  return !IsThere("fail", step);
}

static smi_code Create(const smi_host_api* host, const char* config, smi_plugin** plugin,
                       smi_error* error) {
  if (!Step("create")) return TestFail(error, SMI_INTERNAL, "it was told to fail");
  return TestCreate(host, config, plugin, error);
}

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  if (!Step("load")) return TestFail(error, SMI_INTERNAL, "it was told to fail");
  return TestLoad(plugin, params, model, error);
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  if (!Step("execute")) return TestFail(error, SMI_INTERNAL, "it was told to fail");
  return TestExecute(model, requests, count, error);
}

static void Unload(smi_plugin* plugin, smi_model* model) {
  Step("unload");
  TestUnload(plugin, model);
}

static void Destroy(smi_plugin* plugin) {
  Step("destroy");
  TestDestroy(plugin);
}

TEST_PLUGIN(api.create = Create; api.load = Load; api.execute = Execute; api.unload = Unload;
            api.destroy = Destroy)
