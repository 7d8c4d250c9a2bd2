// SPDX-License-Identifier: Apache-2.0
//
// The functions that the host offers to its plugin: about files they end in
// smi_artefact, about requests in a RequestPort.
#include <algorithm>
#include <cstdio>

#include "plugin_host/artefact.h"
#include "plugin_host/plugin.h"
#include "plugin_host/request_port.h"

namespace mlos::plugin_host {
namespace {

RequestPort& Of(const smi_request* request) {
  return *static_cast<RequestPort*>(request->host_data);
}

constexpr const char* kLevelNames[] = {"debug", "info", "warning", "error"};

}  // namespace

const smi_host_api& HostApi() {
  static const smi_host_api api = {
      .struct_size = sizeof(smi_host_api),
      .version_minor = SMI_VERSION_MINOR,
      .context = nullptr,
      .log =
          [](void*, smi_log_level level, const char* text) {
            std::fprintf(stderr, "%s: %s\n", kLevelNames[std::min<uint32_t>(level, 3)], text);
          },
      .artefact_count =
          [](const smi_artefact* a) { return static_cast<uint32_t>(a->files.size()); },
      .artefact_name = [](const smi_artefact* a, uint32_t i) -> const char* {
        return i < a->files.size() ? a->files[i].name.c_str() : nullptr;
      },
      .open_artefact =
          [](const smi_artefact* a, const char* name, smi_blob* blob, smi_error* error) {
            return const_cast<smi_artefact*>(a)->Open(name, blob, error);
          },
      .allocate_output =
          [](const smi_request* r, uint32_t index, smi_datatype datatype, uint32_t rank,
             const int64_t* shape, uint64_t bytes, void** data, smi_error* error) {
            return Of(r).AllocateOutput(index, datatype, rank, shape, bytes, data, error);
          },
      .respond = [](const smi_request* r, smi_error* error) { return Of(r).Respond(error); },
      .fail = [](const smi_request* r, smi_code code,
                 const char* text) { Of(r).FailFromPlugin(code, text); },
      .is_cancelled = [](const smi_request* r) { return Of(r).IsCancelled(); },
      .get_extension = [](void*, const char*) -> const void* { return nullptr; },
  };
  return api;
}

}  // namespace mlos::plugin_host
