/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls a model of the daemon on this machine a hundred times, through shared memory.
 *
 *   client_c MODEL      every input's open dimensions are taken as 1, its elements as 0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mlos/client.h"

enum { kMostInputs = 16, kRuns = 100 };

static char text[1024];
static mlos_error error = {sizeof error, sizeof text, text};

static int Failed(const char* what, mlos_code code) {
  if (code == MLOS_OK) return 0;
  fprintf(stderr, "%s: %s: %s\n", what, mlos_code_name(code), text);
  return 1;
}

/* The inputs as the model wants them.  Their number, or -1. */
static int Describe(const mlos_model* model, mlos_tensor* inputs) {
  mlos_model_info info = {.struct_size = sizeof info};
  mlos_model_describe(model, &info);
  if (info.input_count > kMostInputs) return -1;
  for (uint32_t i = 0; i < info.input_count; ++i) {
    mlos_tensor_info spec = {.struct_size = sizeof spec};
    mlos_model_input(model, i, &spec);
    if (spec.datatype == MLOS_BYTES) return -1;
    inputs[i] = (mlos_tensor){.struct_size = sizeof inputs[i], .index = i, .rank = spec.rank};
    for (uint32_t d = 0; d < spec.rank; ++d) {
      inputs[i].dims[d] = spec.dims[d] < 0 ? 1 : spec.dims[d];
    }
  }
  return (int)info.input_count;
}

static int Run(mlos_model* model) {
  mlos_tensor inputs[kMostInputs];
  const int count = Describe(model, inputs);
  if (count < 0) return Failed("this example", MLOS_UNIMPLEMENTED);
  mlos_call* call = NULL;
  if (Failed("mlos_call_create", mlos_call_create(model, &call, &error))) return 1;
  mlos_request request = {
      .struct_size = sizeof request, .input_count = (uint32_t)count, .inputs = inputs};
  if (Failed("mlos_call_prepare", mlos_call_prepare(call, &request, 0, &error))) return 1;
  for (int i = 0; i < count; ++i) memset(inputs[i].data, 0, inputs[i].bytes);
  for (int run = 0; run < kRuns; ++run) {
    if (Failed("mlos_call_run", mlos_call_run(call, 1000000, &error))) return 1;
  }
  mlos_tensor output = {.struct_size = sizeof output};
  for (uint32_t i = 0; mlos_call_output(call, i, &output) == MLOS_OK; ++i) {
    mlos_tensor_info spec = {.struct_size = sizeof spec};
    mlos_model_output(model, i, &spec);
    printf("%s: %s, %" PRIu64 " bytes\n", spec.name, mlos_datatype_name(output.datatype),
           output.bytes);
  }
  mlos_call_destroy(call);
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: client_c MODEL\n");
    return 2;
  }
  mlos_client* client = NULL;
  if (Failed("mlos_connect", mlos_connect(NULL, NULL, &client, &error))) return 1;
  mlos_model* model = NULL;
  int failed = Failed("mlos_model_open", mlos_model_open(client, argv[1], NULL, 0, &model, &error));
  if (!failed) failed = Run(model);
  mlos_disconnect(client); /* with its models and their calls */
  return failed;
}
