// SPDX-License-Identifier: Apache-2.0
//
// Where models are, and what the engines are told of it.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "base/name.h"
#include "lifecycle/manager.h"

namespace mlos::lifecycle {

using catalog::Desired;
using catalog::ModelVersion;
using catalog::State;

namespace {

engine::ModelState RouteState(State state) {
  switch (state) {
    case State::kRegistered:
      return engine::ModelState::kRegistered;
    case State::kLoading:
      return engine::ModelState::kLoading;
    case State::kReady:
      return engine::ModelState::kReady;
    case State::kDraining:
      return engine::ModelState::kDraining;
    case State::kUnloaded:
      return engine::ModelState::kUnloaded;
    case State::kFailed:
      return engine::ModelState::kFailed;
  }
  return engine::ModelState::kFailed;
}

// What should be loaded and is not: the first few by name.
class Missing {
 public:
  template <typename Record>
  void Add(const Record& record, State state, std::string_view reason) {
    if (++count_ > kNamed) return;
    text_ += fmt::format("{}{} is {}", text_.empty() ? "" : "; ", Label(record), StateName(state));
    if (!reason.empty()) text_ += fmt::format(": {}", Cut(reason));
  }
  std::string Text() const {
    return count_ > kNamed ? fmt::format("{}; and {} more", text_, count_ - kNamed) : text_;
  }

 private:
  static constexpr size_t kNamed = 5;
  // Between characters.
  static std::string Cut(std::string_view reason) { return EscapeForLog(reason, 200); }

  std::string text_;
  size_t count_ = 0;
};

}  // namespace

// The model is ready there.
void Manager::Settle(ModelVersion& model, Place place, std::shared_ptr<const ModelInfo> info,
                     std::shared_ptr<const ModelSettings> settings) {
  model.state = State::kReady;
  model.reason.clear();
  model.host = place.first;
  model.handle = place.second;
  model.info = std::move(info);
  model.settings = std::move(settings);
  leases_[model.id] =
      std::make_shared<const engine::Lease>(control_, [this, place] { OnUnused(place); });
  Publish(model.name);
}

// The model is in no host.
void Manager::Unsettle(ModelVersion& model, State state, std::string reason) {
  if (leases_.count(model.id) != 0) channels_.Leave({model.host, model.handle});
  model.state = state;
  model.may_pass = state == State::kFailed;  // whoever knows better says so after this
  model.reason = std::move(reason);
  model.plugin_version.clear();
  model.host = 0;
  model.handle = 0;
  model.info.reset();
  model.settings.reset();
  leases_.erase(model.id);
  Publish(model.name);
}

engine::RoutePin Manager::MakeRoute(const ModelVersion& m) const {
  auto route = std::make_shared<engine::ModelRoute>();
  route->name = m.name;
  if (m.version != 0) route->version = std::to_string(m.version);
  route->version_number = m.version;
  route->state = RouteState(m.state);
  route->reason = m.reason;
  route->plugin = m.plugin;
  route->plugin_version = m.plugin_version;
  route->id = m.id;
  if (m.state == State::kRegistered) {
    const Status admitted = catalog_.CheckPolicy(m);
    route->on_demand = m.desired != Desired::kUnloaded && admitted.ok();
    if (!admitted.ok()) {
      route->state = engine::ModelState::kUnloaded;
      route->reason = Message(admitted);
    }
  } else if (m.state == State::kUnloaded || m.state == State::kFailed) {
    const Status admitted = catalog_.CheckPolicy(m);
    if (m.state == State::kUnloaded && !admitted.ok()) route->reason = Message(admitted);
    route->load_helps = admitted.ok() && m.fault.empty();
  } else if (m.state == State::kReady) {
    route->info = m.info;
    route->settings = m.settings;
    route->host = m.host;
    route->handle = m.handle;
    route->lease = leases_.at(m.id);
  }
  return route;
}

void Manager::Publish(std::string_view name) {
  Refresh(name);
  Publish();
}

void Manager::Refresh(std::string_view name) {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) {
    if (const auto gone = table_.models.find(name); gone != table_.models.end()) {
      table_.models.erase(gone);
    }
  } else {
    auto versions = std::make_shared<engine::ModelVersions>();
    for (const auto& [number, model] : it->second) versions->versions.push_back(MakeRoute(*model));
    versions->labels = catalog_.Group(name).labels;
    table_.models[it->first] = std::move(versions);
  }
}

// Only what has changed was made anew: a table is names and pointers.
void Manager::Publish() {
  if (hold_publishing_) {
    publishing_is_due_ = true;
    return;
  }
  table_.shadowed.clear();
  for (const auto& [name, model] : catalog_.shadowed()) {
    table_.shadowed.emplace(name, model.reason);
  }
  table_.not_ready = WhatIsMissing();
  table_.ready = table_.not_ready.empty();
  const auto table = std::make_shared<const engine::RoutingTable>(table_);
  for (engine::ChannelEngine* engine : engines_) engine->Publish(table);
}

std::string Manager::WhatIsMissing() const {
  if (stopping_soon_) return "the server is shutting down";
  if (!readiness_held_.empty()) return readiness_held_;
  if (!strict_readiness_) return {};
  Missing missing;
  for (const auto& [name, versions] : catalog_.plugins()) {
    for (const auto& [number, plugin] : versions) {
      if (!plugin->wanted || plugin->state == State::kReady) continue;
      missing.Add(*plugin, plugin->state, plugin->reason);
    }
  }
  for (const std::string& name : absent_) {
    if (catalog_.models().find(name) != catalog_.models().end()) continue;
    return fmt::format("there is no model {} in a model repository", Quoted(name));
  }
  for (const auto& [name, versions] : catalog_.models()) {
    const bool serves = std::any_of(versions.begin(), versions.end(), [](const auto& version) {
      return version.second->state == State::kReady;
    });
    for (const auto& [version, model] : versions) {
      if (model->desired != Desired::kLoaded || model->state == State::kReady) continue;
      // A bad version that was put into a repository takes no machine out of service.
      if (serves && model->state == State::kFailed && !model->repository.empty()) continue;
      if (promised_.count(model->id) != 0) continue;  // its load is news, not what should be there
      if (catalog_.CheckPolicy(*model).ok()) missing.Add(*model, model->state, model->reason);
    }
  }
  return missing.Text();
}

}  // namespace mlos::lifecycle
