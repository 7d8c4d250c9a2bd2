// SPDX-License-Identifier: Apache-2.0
#include "engine/route.h"

namespace mlos::engine {

std::string_view ModelStateName(ModelState state) {
  switch (state) {
    case ModelState::kRegistered:
      return "registered";
    case ModelState::kLoading:
      return "loading";
    case ModelState::kReady:
      return "ready";
    case ModelState::kDraining:
      return "draining";
    case ModelState::kUnloaded:
      return "unloaded";
    case ModelState::kFailed:
      return "failed";
  }
  return "failed";
}

void RoutingTable::Add(RoutePin route) {
  std::shared_ptr<const ModelVersions>& model = models[route->name];
  auto changed = model == nullptr ? std::make_shared<ModelVersions>()
                                  : std::make_shared<ModelVersions>(*model);
  changed->versions.push_back(std::move(route));
  model = std::move(changed);
}

RoutePin RoutingTable::Find(std::string_view name, std::string_view version) const {
  const auto it = models.find(name);
  if (it == models.end() || it->second->versions.empty()) return nullptr;
  const auto& versions = it->second->versions;
  if (!version.empty()) {
    for (const RoutePin& route : versions) {
      if (route->version == version) return route;
    }
    const auto label = it->second->labels.find(version);
    if (label == it->second->labels.end()) return nullptr;
    for (const RoutePin& route : versions) {
      if (route->version_number == label->second) return route;
    }
    return nullptr;
  }
  const RoutePin* loadable = nullptr;
  for (auto r = versions.rbegin(); r != versions.rend(); ++r) {
    if ((*r)->state == ModelState::kReady) return *r;
    if (loadable == nullptr && ((*r)->on_demand || (*r)->state == ModelState::kLoading)) {
      loadable = &*r;
    }
  }
  return loadable != nullptr ? *loadable : versions.back();
}

}  // namespace mlos::engine
