// SPDX-License-Identifier: Apache-2.0
//
// OrtRuntime: ONNX Runtime itself, brought in by dlopen so that its telemetry
// is switched off before any of its code runs, and so that a library that is
// missing or too old is a sentence and not a failed relocation.
//
// Owned by the plugin instance, which outlives every model made with it.
// Immutable after Open; may be used from any thread.  The library stays mapped
// for the life of the process: it keeps state that must not be unmapped.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_ORT_RUNTIME_H_
#define MLOS_PLUGINS_ONNXRUNTIME_ORT_RUNTIME_H_

#include <onnxruntime_c_api.h>

#include <memory>
#include <string>
#include <vector>

#include "error.h"

namespace mlos::onnxrt {

template <typename T>
using OrtPtr = std::unique_ptr<T, void (*)(T*)>;

class OrtRuntime {
 public:
  // Loads the library beside this plugin, or else the system's.  `host` gets
  // the library's log lines and must outlive the runtime.
  static Error Open(const smi_host_api& host, std::unique_ptr<OrtRuntime>* runtime);

  OrtRuntime(const OrtRuntime&) = delete;
  OrtRuntime& operator=(const OrtRuntime&) = delete;

  const OrtApi& api() const { return *api_; }
  const OrtEnv* env() const { return env_.get(); }
  const OrtMemoryInfo* cpu_memory() const { return cpu_memory_.get(); }
  OrtAllocator* allocator() const { return allocator_; }
  const std::string& version() const { return version_; }

  // Execution providers that a session really accepts, as opposed to those
  // that the library was compiled to know about.
  std::vector<std::string> LoadableProviders() const;

  // Takes the status (may be null) and frees it.
  Error ToError(OrtStatus* status) const;

 private:
  OrtRuntime() = default;

  const OrtApi* api_ = nullptr;
  std::string version_;
  OrtPtr<OrtEnv> env_{nullptr, nullptr};
  OrtPtr<OrtMemoryInfo> cpu_memory_{nullptr, nullptr};
  OrtAllocator* allocator_ = nullptr;  // the library's default one; never freed
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_ORT_RUNTIME_H_
