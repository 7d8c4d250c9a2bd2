// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/metadata.h"

#include "frontends/common/extensions.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

void AppendTensors(const std::vector<TensorInfo>& tensors, Buffer* out) {
  out->Append('[');
  for (size_t i = 0; i < tensors.size(); ++i) {
    out->Append(i > 0 ? ",{\"name\":" : "{\"name\":");
    tensor::AppendJsonString(tensors[i].name, out);
    out->Append(",\"datatype\":\"");
    out->Append(tensor::DatatypeName(tensors[i].datatype));
    out->Append("\",\"shape\":");
    tensor::AppendJsonShape(tensors[i].shape, out);
    out->Append('}');
  }
  out->Append(']');
}

void AppendVersions(const engine::ModelRoute& route, const engine::RoutingTable& table,
                    bool explicit_version, Buffer* out) {
  out->Append('[');
  bool first = true;
  const auto append = [&](std::string_view version) {
    if (!first) out->Append(',');
    first = false;
    tensor::AppendJsonString(version, out);
  };
  const auto model = table.models.find(route.name);
  if (explicit_version || model == table.models.end()) {
    append(route.version);
  } else {
    for (const engine::RoutePin& other : model->second->versions) {
      // The one in hand serves, whatever the snapshot says by now.
      if (other->state == engine::ModelState::kReady || other->version == route.version) {
        append(other->version);
      }
    }
  }
  out->Append(']');
}

}  // namespace

void AppendServerMetadata(const HttpOptions& options, const frontend::Offered& offered,
                          Buffer* out) {
  out->Append("{\"name\":");
  tensor::AppendJsonString(options.server_name, out);
  out->Append(",\"version\":");
  tensor::AppendJsonString(options.server_version, out);
  out->Append(",\"extensions\":[");
  bool first = true;
  for (const std::string_view name : frontend::Extensions(offered)) {
    if (!first) out->Append(',');
    first = false;
    tensor::AppendJsonString(name, out);
  }
  out->Append("]}");
}

void AppendModelMetadata(const engine::ModelRoute& route, const engine::RoutingTable& table,
                         bool explicit_version, Buffer* out) {
  out->Append("{\"name\":");
  tensor::AppendJsonString(route.name, out);
  out->Append(",\"versions\":");
  AppendVersions(route, table, explicit_version, out);
  out->Append(",\"platform\":");
  tensor::AppendJsonString(route.info->platform.empty() ? std::string_view(route.plugin)
                                                        : std::string_view(route.info->platform),
                           out);
  out->Append(",\"inputs\":");
  AppendTensors(route.info->inputs, out);
  out->Append(",\"outputs\":");
  AppendTensors(route.info->outputs, out);
  out->Append('}');
}

void AppendModelList(const engine::RoutingTable& table, Buffer* out) {
  const char* separator = "{\"models\":[";
  for (const auto& [name, versions] : table.models) {
    out->Append(separator);
    tensor::AppendJsonString(name, out);
    separator = ",";
  }
  out->Append(table.models.empty() ? "{\"models\":[]}" : "]}");
}

}  // namespace mlos::http
