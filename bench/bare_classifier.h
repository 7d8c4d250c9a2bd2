// SPDX-License-Identifier: Apache-2.0
//
// The floor of the small-model benchmarks: ONNX Runtime itself running the
// classifier of the plugin's test data with everything bound beforehand.
#pragma once

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace mlos::bench {

constexpr size_t kInputBytes = 64 * sizeof(float);
constexpr size_t kOutputBytes = 10 * sizeof(float);
constexpr int64_t kInputShape[] = {1, 64};
constexpr int64_t kOutputShape[] = {1, 10};

[[noreturn]] inline void Die(const char* what) {
  std::fprintf(stderr, "benchmark: %s\n", what);
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): there is one thread
}

class BareSide {
 public:
  BareSide(const std::string& library, const std::string& model, void* input) {
    void* handle = dlopen(library.c_str(), RTLD_NOW);
    const auto base =
        handle == nullptr
            ? nullptr
            : reinterpret_cast<const OrtApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"));
    if (base == nullptr) Die("ONNX Runtime cannot be loaded");
    api_ = base()->GetApi(ORT_API_VERSION);
    OrtEnv* env = nullptr;
    Check(api_->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "bench", &env));
    OrtSessionOptions* options = nullptr;
    Check(api_->CreateSessionOptions(&options));
    Check(api_->SetIntraOpNumThreads(options, 1));
    Check(api_->CreateSessionFromArray(env, model.data(), model.size(), options, &session_));
    OrtMemoryInfo* memory = nullptr;
    Check(api_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
    OrtValue *x = nullptr, *y = nullptr;
    Check(api_->CreateTensorWithDataAsOrtValue(memory, input, kInputBytes, kInputShape, 2,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &x));
    Check(api_->CreateTensorWithDataAsOrtValue(memory, output_, kOutputBytes, kOutputShape, 2,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &y));
    input_ = x;
    Check(api_->CreateRunOptions(&run_options_));
    Check(api_->CreateIoBinding(session_, &binding_));
    Check(api_->BindInput(binding_, "x", x));
    Check(api_->BindOutput(binding_, "p", y));
  }
  void RunBound() { Check(api_->RunWithBinding(session_, run_options_, binding_)); }
  void RunPlain() {
    const char* const inputs[] = {"x"};
    const char* const outputs[] = {"p"};
    OrtValue* result = nullptr;
    Check(api_->Run(session_, run_options_, inputs, &input_, 1, outputs, 1, &result));
    api_->ReleaseValue(result);
  }
  const void* output() const { return output_; }

 private:
  static void Check(OrtStatus* status) {
    if (status != nullptr) Die("ONNX Runtime failed");
  }

  // All of it lives until the process ends.
  const OrtApi* api_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtRunOptions* run_options_ = nullptr;
  OrtIoBinding* binding_ = nullptr;
  const OrtValue* input_ = nullptr;
  alignas(64) char output_[kOutputBytes] = {};
};

}  // namespace mlos::bench
