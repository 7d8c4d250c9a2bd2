/* SPDX-License-Identifier: Apache-2.0
 *
 * A complete plugin, to be copied.  Its framework computes Y = scale * X + offset
 * on FP32 vectors; a model is a text file of the format `affine`:
 *
 *     # comment
 *     scale 2.0
 *     offset 1.0
 *
 * The contract is mlos/smi.h; docs/writing-a-plugin.md walks through this file.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlos/smi.h"

struct smi_plugin {
  const smi_host_api* host; /* outlives the instance */
};

struct smi_model {
  const smi_host_api* host;
  float scale, offset;
};

/* Writes the reason of a failure where the caller wants it, and returns `code`. */
__attribute__((format(printf, 3, 4))) static smi_code Fail(smi_error* error, smi_code code,
                                                           const char* format, ...) {
  if (error != NULL && error->text != NULL && error->capacity > 0) {
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, error->capacity, format, args);
    va_end(args);
  }
  return code;
}

/* ---------------------------------------------------------- create, destroy */

static smi_code Create(const smi_host_api* host, const char* config, smi_plugin** plugin,
                       smi_error* error) {
  (void)config; /* nothing to set */
  /* Use only what the host's table has: all up to is_cancelled is needed here. */
  if (host->struct_size < offsetof(smi_host_api, get_extension)) {
    return Fail(error, SMI_FAILED_PRECONDITION, "the host's table has %u bytes; %zu are needed",
                host->struct_size, offsetof(smi_host_api, get_extension));
  }
  smi_plugin* p = calloc(1, sizeof *p);
  if (p == NULL) return Fail(error, SMI_RESOURCE_EXHAUSTED, "out of memory");
  p->host = host;
  *plugin = p;
  return SMI_OK;
}

static void Destroy(smi_plugin* plugin) { free(plugin); }

/* ------------------------------------------------------------- load, unload */

/* One line of a model file, without its end.  False when it is wrong. */
static bool ParseLine(const char* line, smi_model* model) {
  char key[8];
  float value;
  int end = 0;
  if (line[strspn(line, " \t\r")] == '\0' || line[0] == '#') return true;
  if (sscanf(line, "%7s %f %n", key, &value, &end) != 2 || line[end] != '\0') return false;
  if (!isfinite(value)) return false;
  if (strcmp(key, "scale") == 0) {
    model->scale = value;
  } else if (strcmp(key, "offset") == 0) {
    model->offset = value;
  } else {
    return false;
  }
  return true;
}

/* The artefact is untrusted: bounded, not NUL-terminated, possibly binary. */
static smi_code ParseModel(const char* name, const smi_blob* file, smi_model* model,
                           smi_error* error) {
  const char* text = file->data;
  model->scale = model->offset = NAN;
  size_t at = 0;
  for (int number = 1; at < file->size; ++number) {
    char line[128];
    const char* stop = memchr(text + at, '\n', file->size - at);
    const size_t length = stop != NULL ? (size_t)(stop - text) - at : file->size - at;
    bool good = length < sizeof line && memchr(text + at, '\0', length) == NULL;
    if (good) {
      memcpy(line, text + at, length);
      line[length] = '\0';
      good = ParseLine(line, model);
    }
    if (!good) {
      return Fail(error, SMI_INVALID_ARGUMENT,
                  "model '%s' line %d: write 'scale NUMBER' or 'offset NUMBER'", name, number);
    }
    at += length + 1;
  }
  if (isnan(model->scale) || isnan(model->offset)) {
    return Fail(error, SMI_INVALID_ARGUMENT, "model '%s' has no line '%s NUMBER'; add one", name,
                isnan(model->scale) ? "scale" : "offset");
  }
  return SMI_OK;
}

static smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                     smi_error* error) {
  smi_blob file = {.struct_size = sizeof file};
  smi_code code = plugin->host->open_artefact(params->artefact, NULL, &file, error);
  if (code != SMI_OK) return code;
  smi_model* m = calloc(1, sizeof *m);
  if (m == NULL) return Fail(error, SMI_RESOURCE_EXHAUSTED, "out of memory");
  m->host = plugin->host;
  code = ParseModel(params->name, &file, m, error);
  if (code != SMI_OK) {
    free(m);
    return code;
  }
  *model = m;
  return SMI_OK;
}

static void Unload(smi_plugin* plugin, smi_model* model) {
  (void)plugin;
  free(model);
}

/* ----------------------------------------------------------------- describe */

static const smi_model_info* Describe(const smi_model* model) {
  static const int64_t kAnySize[] = {-1};
  static const smi_tensor_spec kInput = {.struct_size = sizeof kInput,
                                         .datatype = SMI_FP32,
                                         .name = "X",
                                         .rank = 1,
                                         .shape = kAnySize};
  static const smi_tensor_spec kOutput = {.struct_size = sizeof kOutput,
                                          .datatype = SMI_FP32,
                                          .name = "Y",
                                          .rank = 1,
                                          .shape = kAnySize};
  static const smi_model_info kInfo = {.struct_size = sizeof kInfo,
                                       .input_count = 1,
                                       .inputs = &kInput,
                                       .output_count = 1,
                                       .outputs = &kOutput,
                                       .max_concurrency = 64,
                                       .replay = SMI_REPLAY_SAFE,
                                       .memory_bytes = sizeof(smi_model),
                                       .platform = "template_affine"};
  (void)model; /* all models of this framework look alike */
  return &kInfo;
}

/* ------------------------------------------------------------------ execute */

/* The host has checked datatype, rank and byte size: one FP32 vector. */
static void RunOne(const smi_model* model, const smi_request* request) {
  char text[256] = "";
  smi_error error = {.struct_size = sizeof error, .capacity = sizeof text, .text = text};
  const smi_tensor* x = request->inputs;
  void* data = NULL;
  const smi_code code =
      model->host->allocate_output(request, 0, SMI_FP32, 1, x->shape, x->byte_size, &data, &error);
  if (code != SMI_OK) {
    model->host->fail(request, code, text);
    return;
  }
  const float* in = x->data;
  float* out = data;
  for (uint64_t i = 0; i < x->byte_size / sizeof *in; ++i) {
    out[i] = model->scale * in[i] + model->offset;
  }
  /* When this fails the host has answered with the error: nothing is left to do. */
  (void)model->host->respond(request, &error);
}

static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  (void)error; /* every request gets an answer of its own */
  for (uint32_t i = 0; i < count; ++i) RunOne(model, requests[i]);
  return SMI_OK;
}

/* -------------------------------------------------------------------- entry */

SMI_EXPORT const smi_plugin_api* smi_plugin_entry_v1(void) {
  static const smi_plugin_api kApi = {.struct_size = sizeof kApi,
                                      .version_major = SMI_VERSION_MAJOR,
                                      .version_minor = SMI_VERSION_MINOR,
                                      .name = "template",
                                      .version = "1.0.0",
                                      .create = Create,
                                      .destroy = Destroy,
                                      .load = Load,
                                      .unload = Unload,
                                      .describe = Describe,
                                      .execute = Execute};
  return &kApi;
}
