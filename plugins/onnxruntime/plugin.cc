// SPDX-License-Identifier: Apache-2.0
//
// The SMI table of the ONNX Runtime plugin.  Everything that crosses the line
// is here: argument checks, the catching of exceptions, and error buffers.
#include <malloc.h>
#include <mlos/smi.h>

#include <cstddef>
#include <new>
#include <string>

#include "model.h"
#include "ort_runtime.h"

using mlos::onnxrt::Error;
using mlos::onnxrt::Model;
using mlos::onnxrt::OrtRuntime;

struct smi_plugin {
  const smi_host_api* host = nullptr;
  std::unique_ptr<OrtRuntime> ort;
  std::string properties;
};

struct smi_model {
  std::unique_ptr<Model> model;
};

namespace {

// Runs `step` and turns what comes out, thrown or returned, into SMI's terms.
template <typename Step>
smi_code Guard(smi_error* error, Step step) noexcept {
  try {
    const Error outcome = step();
    if (!outcome.ok()) mlos::onnxrt::WriteError(error, outcome.text());
    return outcome.code();
  } catch (const std::bad_alloc&) {
    mlos::onnxrt::WriteError(error, "out of memory");
    return SMI_RESOURCE_EXHAUSTED;
  } catch (...) {
    mlos::onnxrt::WriteError(error, "an unexpected failure in the ONNX Runtime plugin");
    return SMI_INTERNAL;
  }
}

std::string Properties(const OrtRuntime& ort) {
  std::string text = "{\"onnxruntime\":\"" + ort.version() +
                     "\",\"headers_api\":" + std::to_string(ORT_API_VERSION) + ",\"providers\":[";
  bool first = true;
  for (const std::string& provider : ort.LoadableProviders()) {
    text += (first ? "\"" : ",\"") + provider + "\"";
    first = false;
  }
  return text += "]}";
}

smi_code Create(const smi_host_api* host, const char* /*config*/, smi_plugin** plugin,
                smi_error* error) {
  return Guard(error, [&]() -> Error {
    if (host == nullptr || plugin == nullptr) {
      return mlos::onnxrt::Invalid("create was called without a host");
    }
    if (host->struct_size < offsetof(smi_host_api, get_extension)) {
      return Error(SMI_FAILED_PRECONDITION,
                   "the host is older than this plugin: it lacks functions of SMI 1.0");
    }
    auto made = std::make_unique<smi_plugin>();
    made->host = host;
    if (Error opened = OrtRuntime::Open(*host, &made->ort); !opened.ok()) return opened;
    made->properties = Properties(*made->ort);
    *plugin = made.release();
    return {};
  });
}

void Destroy(smi_plugin* plugin) { delete plugin; }

smi_code Load(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
              smi_error* error) {
  return Guard(error, [&]() -> Error {
    auto made = std::make_unique<smi_model>();
    Error outcome = Model::Load(*plugin->ort, *plugin->host, *params, &made->model);
    if (outcome.ok()) *model = made.release();
    return outcome;
  });
}

void Unload(smi_plugin* /*plugin*/, smi_model* model) {
  delete model;
  // The library frees its arenas; this hands the pages back to the system.
  malloc_trim(0);
}

const smi_model_info* Describe(const smi_model* model) { return &model->model->info(); }

smi_code Execute(smi_model* model, const smi_request* const* requests, uint32_t count,
                 smi_error* error) {
  return Guard(error, [&]() -> Error {
    for (uint32_t i = 0; i < count; ++i) model->model->Execute(*requests[i]);
    return {};
  });
}

smi_code WarmUp(smi_model* model, smi_error* error) {
  return Guard(error, [&]() -> Error {
    model->model->WarmUp();
    return {};
  });
}

const char* GetProperties(smi_plugin* plugin) { return plugin->properties.c_str(); }

constexpr smi_ext_warm_up kWarmUp = {sizeof(smi_ext_warm_up), 0, WarmUp};
constexpr smi_ext_properties kProperties = {sizeof(smi_ext_properties), 0, GetProperties};

const void* GetExtension(const char* id) {
  const std::string_view name = id == nullptr ? "" : id;
  if (name == SMI_EXT_WARM_UP) return &kWarmUp;
  if (name == SMI_EXT_PROPERTIES) return &kProperties;
  return nullptr;
}

constexpr smi_plugin_api kApi = {
    .struct_size = sizeof(smi_plugin_api),
    .version_major = SMI_VERSION_MAJOR,
    .version_minor = SMI_VERSION_MINOR,
    .name = "onnxruntime",
    .version = MLOS_ONNXRUNTIME_PLUGIN_VERSION,
    .create = Create,
    .destroy = Destroy,
    .load = Load,
    .unload = Unload,
    .describe = Describe,
    .execute = Execute,
    .get_extension = GetExtension,
};

}  // namespace

extern "C" SMI_EXPORT const smi_plugin_api* smi_plugin_entry_v1(void) { return &kApi; }
