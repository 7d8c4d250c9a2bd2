/* SPDX-License-Identifier: Apache-2.0
 *
 * A well-behaved plugin in miniature, of which each test plugin replaces one
 * function.  Its model is any text file; it takes one tensor X of shape [-1]
 * and answers Y, the same.  Names and build: CMakeLists.txt; what each one
 * does: README.md.  Everything is static: one file includes this, once.
 */
#ifndef MLOS_TESTS_PLUGINS_TEST_PLUGIN_H_
#define MLOS_TESTS_PLUGINS_TEST_PLUGIN_H_

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mlos/smi.h"

#if defined(__GNUC__)
#define TEST_UNUSED __attribute__((unused))
#endif

struct smi_plugin {
  const smi_host_api* host;
};

struct smi_model {
  const smi_host_api* host;
  int64_t any_size;
  smi_tensor_spec input, output;
  void* extra; /* for the plugin that needs it */
  smi_model_info info;
};

static TEST_UNUSED smi_code TestFail(smi_error* error, smi_code code, const char* text) {
  if (error != NULL && error->text != NULL && error->capacity > 0) {
    snprintf(error->text, error->capacity, "%s", text);
  }
  return code;
}

static TEST_UNUSED smi_code TestCreate(const smi_host_api* host, const char* config,
                                       smi_plugin** plugin, smi_error* error) {
  (void)config;
  if (host->struct_size < offsetof(smi_host_api, get_extension)) {
    return TestFail(error, SMI_FAILED_PRECONDITION, "the host's table is too small");
  }
  *plugin = (smi_plugin*)calloc(1, sizeof(smi_plugin));
  if (*plugin == NULL) return TestFail(error, SMI_RESOURCE_EXHAUSTED, "out of memory");
  (*plugin)->host = host;
  return SMI_OK;
}

static TEST_UNUSED void TestDestroy(smi_plugin* plugin) { free(plugin); }

/* A model is any text: not empty, without control characters but white space. */
static TEST_UNUSED smi_code TestCheckArtefact(smi_plugin* plugin, const smi_load_params* params,
                                              smi_error* error) {
  smi_blob blob;
  memset(&blob, 0, sizeof blob);
  blob.struct_size = sizeof blob;
  const smi_code code = plugin->host->open_artefact(params->artefact, NULL, &blob, error);
  if (code != SMI_OK) return code;
  if (blob.size == 0) return TestFail(error, SMI_INVALID_ARGUMENT, "the model file is empty");
  const unsigned char* text = (const unsigned char*)blob.data;
  for (uint64_t i = 0; i < blob.size; ++i) {
    if (text[i] < 0x20 && strchr("\t\n\r\f", text[i] == 0 ? 1 : text[i]) == NULL) {
      return TestFail(error, SMI_INVALID_ARGUMENT, "the model file is not text");
    }
  }
  return SMI_OK;
}

/* The datatypes and the replay mode may be given in the configuration, as any
 * quoted word: "BYTES", "never". */
static TEST_UNUSED smi_datatype TestDatatype(const char* config, smi_datatype otherwise) {
  static const struct {
    const char* word;
    smi_datatype datatype;
  } kWords[] = {{"\"BOOL\"", SMI_BOOL},     {"\"UINT8\"", SMI_UINT8},   {"\"UINT16\"", SMI_UINT16},
                {"\"UINT32\"", SMI_UINT32}, {"\"UINT64\"", SMI_UINT64}, {"\"INT8\"", SMI_INT8},
                {"\"INT16\"", SMI_INT16},   {"\"INT32\"", SMI_INT32},   {"\"INT64\"", SMI_INT64},
                {"\"FP16\"", SMI_FP16},     {"\"FP32\"", SMI_FP32},     {"\"FP64\"", SMI_FP64},
                {"\"BF16\"", SMI_BF16},     {"\"BYTES\"", SMI_BYTES}};
  for (size_t i = 0; i < sizeof kWords / sizeof kWords[0]; ++i) {
    if (strstr(config, kWords[i].word) != NULL) return kWords[i].datatype;
  }
  return otherwise;
}

static TEST_UNUSED void TestSpec(smi_tensor_spec* spec, const char* name, smi_datatype datatype,
                                 const int64_t* shape) {
  memset(spec, 0, sizeof *spec);
  spec->struct_size = sizeof *spec;
  spec->name = name;
  spec->datatype = datatype;
  spec->rank = 1;
  spec->shape = shape;
}

/* Loads a model X[-1] of `input` -> Y[-1] of `output`. */
static TEST_UNUSED smi_code TestLoadAs(smi_plugin* plugin, const smi_load_params* params,
                                       smi_datatype input, smi_datatype output, smi_model** model,
                                       smi_error* error) {
  const smi_code code = TestCheckArtefact(plugin, params, error);
  if (code != SMI_OK) return code;
  smi_model* m = (smi_model*)calloc(1, sizeof *m);
  if (m == NULL) return TestFail(error, SMI_RESOURCE_EXHAUSTED, "out of memory");
  m->host = plugin->host;
  m->any_size = -1;
  TestSpec(&m->input, "X", input, &m->any_size);
  TestSpec(&m->output, "Y", output, &m->any_size);
  m->info.struct_size = sizeof m->info;
  m->info.input_count = m->info.output_count = 1;
  m->info.inputs = &m->input;
  m->info.outputs = &m->output;
  m->info.max_concurrency = 1;
  m->info.replay = strstr(params->config, "\"never\"") != NULL ? SMI_REPLAY_NEVER : SMI_REPLAY_SAFE;
  m->info.memory_bytes = sizeof *m;
  m->info.platform = "test";
  *model = m;
  return SMI_OK;
}

static TEST_UNUSED smi_code TestLoad(smi_plugin* plugin, const smi_load_params* params,
                                     smi_model** model, smi_error* error) {
  const smi_datatype datatype = TestDatatype(params->config, SMI_FP32);
  return TestLoadAs(plugin, params, datatype, datatype, model, error);
}

static TEST_UNUSED void TestUnload(smi_plugin* plugin, smi_model* model) {
  (void)plugin;
  free(model);
}

static TEST_UNUSED const smi_model_info* TestDescribe(const smi_model* model) {
  return &model->info;
}

/* Answers one request with its input. */
static TEST_UNUSED void TestEcho(smi_model* model, const smi_request* request) {
  char text[256] = "";
  smi_error error = {sizeof error, sizeof text, text};
  const smi_tensor* x = request->inputs;
  void* data = NULL;
  const smi_code code = model->host->allocate_output(request, 0, x->datatype, x->rank, x->shape,
                                                     x->byte_size, &data, &error);
  if (code != SMI_OK) {
    model->host->fail(request, code, text);
    return;
  }
  if (x->byte_size > 0) memcpy(data, x->data, x->byte_size);
  (void)model->host->respond(request, &error);
}

static TEST_UNUSED smi_code TestExecute(smi_model* model, const smi_request* const* requests,
                                        uint32_t count, smi_error* error) {
  (void)error;
  for (uint32_t i = 0; i < count; ++i) TestEcho(model, requests[i]);
  return SMI_OK;
}

/* A real fault, also where a sanitizer watches and would make an exit of it. */
#if defined(__clang__)
__attribute__((no_sanitize("address", "undefined")))
#endif
static TEST_UNUSED void
TestCrash(void) {
  int* volatile nowhere = NULL;
  signal(SIGSEGV, SIG_DFL);
  *(volatile int*)nowhere = 1;
}

/* The entry point; the statements change the table:
 *   TEST_PLUGIN(api.execute = Execute) */
#define TEST_PLUGIN(statements)                                \
  SMI_EXPORT const smi_plugin_api* smi_plugin_entry_v1(void) { \
    static smi_plugin_api api;                                 \
    api.struct_size = sizeof api;                              \
    api.version_major = SMI_VERSION_MAJOR;                     \
    api.version_minor = SMI_VERSION_MINOR;                     \
    api.name = TEST_PLUGIN_NAME;                               \
    api.version = "1.0.0";                                     \
    api.create = TestCreate;                                   \
    api.destroy = TestDestroy;                                 \
    api.load = TestLoad;                                       \
    api.unload = TestUnload;                                   \
    api.describe = TestDescribe;                               \
    api.execute = TestExecute;                                 \
    statements;                                                \
    return &api;                                               \
  }

#endif /* MLOS_TESTS_PLUGINS_TEST_PLUGIN_H_ */
