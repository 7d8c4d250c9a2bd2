/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "test_plugin.h"

struct work {
  smi_model* model;
  const smi_request* request;
};

static void* Answer(void* data) {
  TestEcho(((struct work*)data)->model, ((struct work*)data)->request);
  return NULL;
}

/* Answers on a thread of its own. */
static smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                        smi_error* error) {
  for (uint32_t i = 0; i < count; ++i) {
    struct work work = {model, requests[i]};
    pthread_t thread;
    if (pthread_create(&thread, NULL, Answer, &work) != 0) {
      return TestFail(error, SMI_RESOURCE_EXHAUSTED, "no thread");
    }
    pthread_join(thread, NULL);
  }
  return SMI_OK;
}

TEST_PLUGIN(api.execute = Execute)
