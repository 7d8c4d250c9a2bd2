// SPDX-License-Identifier: Apache-2.0
#include "frontends/ipc/describe.h"

namespace mlos::ipc {
namespace {

void ListVersions(const engine::ModelRoute& route, const engine::RoutingTable& table,
                  const AskModel& ask, std::vector<std::string_view>* versions) {
  const auto model = table.models.find(route.name);
  if (!ask.version.empty() || model == table.models.end()) {
    versions->push_back(route.version);
    return;
  }
  for (const engine::RoutePin& other : model->second->versions) {
    // The one in hand serves, whatever the snapshot says by now.
    if (other->state == engine::ModelState::kReady || other->version == route.version) {
      versions->push_back(other->version);
    }
  }
}

}  // namespace

ModelDescription DescriptionOf(const engine::ModelRoute& route, const engine::RoutingTable& table,
                               const AskModel& ask) {
  ModelDescription model;
  model.name = route.name;
  model.version = route.version;
  model.platform = route.info->platform.empty() ? route.plugin : route.info->platform;
  model.max_batch_size = route.info->max_batch_size;
  ListVersions(route, table, ask, &model.versions);
  for (const TensorInfo& tensor : route.info->inputs) model.inputs.push_back(Describe(tensor));
  for (const TensorInfo& tensor : route.info->outputs) model.outputs.push_back(Describe(tensor));
  if (ask.with_config && route.settings != nullptr) model.config = route.settings->config;
  return model;
}

}  // namespace mlos::ipc
