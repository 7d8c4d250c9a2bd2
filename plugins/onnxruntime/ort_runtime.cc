// SPDX-License-Identifier: Apache-2.0
#include "ort_runtime.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>

namespace mlos::onnxrt {
namespace {

constexpr char kLibraryName[] = "libonnxruntime.so.1";

// The directory that this plugin was loaded from, with a final slash.
std::string OwnDirectory() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&OwnDirectory), &info) == 0 || info.dli_fname == nullptr)
    return "";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

// The run path alone would do, were it not that sanitizers call dlopen on our
// behalf and so lose it.
void* OpenLibrary(std::string* why) {
  const std::string beside = OwnDirectory() + kLibraryName;
  const bool packaged = access(beside.c_str(), R_OK) == 0;
  void* library = dlopen(packaged ? beside.c_str() : kLibraryName, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) *why = packaged ? "it cannot be loaded" : "it is not there";
  return library;
}

smi_log_level ToSmiLevel(OrtLoggingLevel level) {
  switch (level) {
    case ORT_LOGGING_LEVEL_VERBOSE:
      return SMI_LOG_DEBUG;
    case ORT_LOGGING_LEVEL_INFO:
      return SMI_LOG_INFO;
    case ORT_LOGGING_LEVEL_WARNING:
      return SMI_LOG_WARNING;
    default:
      return SMI_LOG_ERROR;
  }
}

void ORT_API_CALL ForwardLog(void* param, OrtLoggingLevel level, const char* /*category*/,
                             const char* log_id, const char* /*code_location*/,
                             const char* message) {
  // Called from inside the library: nothing may be thrown back into it.
  try {
    const auto* host = static_cast<const smi_host_api*>(param);
    const std::string text = std::string(log_id) + ": " + Tidy(message);
    host->log(host->context, ToSmiLevel(level), text.c_str());
  } catch (...) {
  }
}

smi_code ToSmiCode(OrtErrorCode code) {
  switch (code) {
    case ORT_INVALID_ARGUMENT:
    case ORT_INVALID_PROTOBUF:
    case ORT_INVALID_GRAPH:
    case ORT_NO_MODEL:
      return SMI_INVALID_ARGUMENT;
    case ORT_NO_SUCHFILE:
      return SMI_NOT_FOUND;
    case ORT_NOT_IMPLEMENTED:
      return SMI_UNIMPLEMENTED;
    default:
      return SMI_INTERNAL;
  }
}

int MinorOf(const std::string& version) {
  unsigned major = 0, minor = 0;
  return std::sscanf(version.c_str(), "%u.%u", &major, &minor) == 2 ? static_cast<int>(minor) : -1;
}

}  // namespace

Error OrtRuntime::ToError(OrtStatus* status) const {
  if (status == nullptr) return {};
  const OrtPtr<OrtStatus> owned(status, api_->ReleaseStatus);
  return Error(ToSmiCode(api_->GetErrorCode(status)), Tidy(api_->GetErrorMessage(status)));
}

Error OrtRuntime::Open(const smi_host_api& host, std::unique_ptr<OrtRuntime>* runtime) {
  // Before any code of the library: its constructors may already look at it.
  // create comes before every other call, so nobody reads the environment now.
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  setenv("ORT_DISABLE_TELEMETRY", "1", /*overwrite=*/1);

  std::string why;
  void* library = OpenLibrary(&why);
  if (library == nullptr) {
    return Error(SMI_FAILED_PRECONDITION, std::string("the ONNX Runtime library ") + kLibraryName +
                                              " was not loaded: " + why +
                                              "; put it beside the plugin's library");
  }
  using GetBaseFn = const OrtApiBase* (*)();
  const auto get_base = reinterpret_cast<GetBaseFn>(dlsym(library, "OrtGetApiBase"));
  const OrtApiBase* base = get_base == nullptr ? nullptr : get_base();
  if (base == nullptr) {
    return Error(SMI_FAILED_PRECONDITION,
                 std::string(kLibraryName) + " is no ONNX Runtime library");
  }

  std::unique_ptr<OrtRuntime> made(new OrtRuntime());
  made->version_ = base->GetVersionString();
  // The library prints a line of its own when asked for a version it lacks.
  made->api_ = MinorOf(made->version_) >= ORT_API_VERSION ? base->GetApi(ORT_API_VERSION) : nullptr;
  if (made->api_ == nullptr) {
    return Error(SMI_FAILED_PRECONDITION,
                 "the ONNX Runtime library is version " + made->version_ +
                     ", but this plugin was built with headers of API version " +
                     std::to_string(ORT_API_VERSION) + " and needs library 1." +
                     std::to_string(ORT_API_VERSION) + " or newer");
  }

  const OrtApi& api = *made->api_;
  OrtEnv* env = nullptr;
  Error error =
      made->ToError(api.CreateEnvWithCustomLogger(ForwardLog, const_cast<smi_host_api*>(&host),
                                                  ORT_LOGGING_LEVEL_WARNING, "onnxruntime", &env));
  if (!error.ok()) return error.Prefixed("ONNX Runtime did not start: ");
  made->env_ = OrtPtr<OrtEnv>(env, api.ReleaseEnv);
  error = made->ToError(api.DisableTelemetryEvents(env));
  if (!error.ok()) return error.Prefixed("telemetry could not be switched off: ");

  OrtMemoryInfo* memory = nullptr;
  error = made->ToError(api.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
  if (!error.ok()) return error;
  made->cpu_memory_ = OrtPtr<OrtMemoryInfo>(memory, api.ReleaseMemoryInfo);
  error = made->ToError(api.GetAllocatorWithDefaultOptions(&made->allocator_));
  if (!error.ok()) return error;
  *runtime = std::move(made);
  return {};
}

std::vector<std::string> OrtRuntime::LoadableProviders() const {
  std::vector<std::string> loadable;
  char** names = nullptr;
  int count = 0;
  if (!ToError(api_->GetAvailableProviders(&names, &count)).ok()) return loadable;
  for (int i = 0; i < count; ++i) {
    const std::string name = names[i];
    // Always there, and not something that can be appended.
    bool loads = name == "CPUExecutionProvider";
    // A stub that sends inputs to a remote service: never usable in a host.
    const bool remote = name == "AzureExecutionProvider";
    OrtSessionOptions* options = nullptr;
    if (!loads && !remote && ToError(api_->CreateSessionOptions(&options)).ok()) {
      const OrtPtr<OrtSessionOptions> owned(options, api_->ReleaseSessionOptions);
      const std::string alias = name.substr(0, name.rfind("ExecutionProvider"));
      loads = ToError(api_->SessionOptionsAppendExecutionProvider(options, alias.c_str(), nullptr,
                                                                  nullptr, 0))
                  .ok();
    }
    if (loads) loadable.push_back(name);
  }
  (void)ToError(api_->ReleaseAvailableProviders(names, count));
  return loadable;
}

}  // namespace mlos::onnxrt
