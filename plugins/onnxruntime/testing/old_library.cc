// SPDX-License-Identifier: Apache-2.0
//
// Stands in for an ONNX Runtime that is older than the plugin's headers: it
// says its version and has no interface to offer.
#include <onnxruntime_c_api.h>

namespace {

const OrtApi* ORT_API_CALL NoApi(uint32_t /*version*/) noexcept { return nullptr; }
const char* ORT_API_CALL Version() noexcept { return "1.5.2"; }

constexpr OrtApiBase kBase = {NoApi, Version};

}  // namespace

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase() noexcept {
  return &kBase;
}
