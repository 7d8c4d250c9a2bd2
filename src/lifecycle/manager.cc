// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/manager.h"

#include <fmt/core.h>

#include <boost/json/serialize.hpp>

#include "base/log.h"

namespace mlos::lifecycle {

using catalog::Desired;
using catalog::ModelVersion;
using catalog::PluginVersion;
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

std::string Label(const PluginVersion& p) {
  return fmt::format("plugin {} {}", p.manifest.name, p.manifest.version);
}

std::string Label(const ModelVersion& m) {
  return fmt::format("model {} version {}", m.name, m.version);
}

engine::RoutePin MakeRoute(const ModelVersion& m) {
  auto route = std::make_shared<engine::ModelRoute>();
  route->name = m.name;
  route->version = std::to_string(m.version);
  route->version_number = m.version;
  route->state = RouteState(m.state);
  route->reason = m.reason;
  route->on_demand = m.desired == Desired::kOnDemand && m.state == State::kRegistered;
  route->plugin = m.plugin;
  route->plugin_version = m.plugin_version;
  route->id = m.id;
  if (m.state == State::kReady) {
    route->info = m.info;
    route->host = m.host;
    route->handle = m.handle;
  }
  return route;
}

}  // namespace

Manager::Manager(EventLoop& control, catalog::Catalog& catalog, ManagerOptions options)
    : control_(control), catalog_(catalog), options_(std::move(options)) {}

void Manager::Finish(const void* record, const Status& status) {
  const auto it = waiters_.find(record);
  if (it == waiters_.end()) return;
  const std::vector<Done> waiting = std::move(it->second);
  waiters_.erase(it);
  for (const Done& done : waiting) done(status);
}

uint64_t Manager::HostOf(const PluginVersion& plugin) const {
  for (const auto& [number, running] : hosts_) {
    if (running.plugin == plugin.manifest.name && running.version == plugin.manifest.version) {
      return number;
    }
  }
  return 0;
}

// -------------------------------------------------------------------- plugins

void Manager::LoadPlugin(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindPlugin(name, version);
  if (!found.ok()) {
    done(found.status());
    return;
  }
  PluginVersion& plugin = **found;
  switch (plugin.state) {
    case State::kReady:
      done(OkStatus());
      return;
    case State::kDraining:
      done(FailedPrecondition(Label(plugin) + " is being unloaded: try again when it is"));
      return;
    case State::kLoading:
      waiters_[&plugin].push_back(std::move(done));
      return;
    case State::kRegistered:
    case State::kUnloaded:
    case State::kFailed:
      waiters_[&plugin].push_back(std::move(done));
      StartHost(plugin);
      return;
  }
}

void Manager::StartHost(PluginVersion& plugin) {
  plugin.state = State::kLoading;
  plugin.reason.clear();
  const uint64_t number = next_host_++;
  std::vector<std::shared_ptr<backend::ChannelPort>> ports;
  for (engine::ChannelEngine* engine : engines_) {
    StatusOr<std::shared_ptr<engine::HostLane>> lane = engine->OpenLane(number);
    if (!lane.ok()) {
      OnHostStarted(plugin.manifest.name, plugin.manifest.version, number, lane.status());
      return;
    }
    ports.push_back(*std::move(lane));
  }
  backend::HostSpec spec;
  spec.program = options_.host_program;
  spec.start.directory = plugin.directory;
  spec.start.library = plugin.manifest.library;
  spec.start.name = plugin.manifest.name;
  spec.start.version = plugin.manifest.version;
  spec.start.workers = options_.workers;
  auto host = std::make_shared<backend::PluginHost>(
      control_, std::move(spec), std::move(ports),
      [this, number](const Status& status) { OnHostFailed(number, status); });
  hosts_.emplace(number, RunningHost{host, plugin.manifest.name, plugin.manifest.version});
  host->Start([this, name = plugin.manifest.name, version = plugin.manifest.version,
               number](const Status& status) { OnHostStarted(name, version, number, status); });
}

void Manager::OnHostStarted(const std::string& name, const std::string& version, uint64_t number,
                            const Status& status) {
  if (!status.ok()) DropHost(number);
  const auto found = catalog_.FindPlugin(name, version);
  if (!found.ok()) return;
  PluginVersion& plugin = **found;
  if (status.ok()) {
    plugin.state = State::kReady;
    plugin.active = catalog_.ActivePlugin(name) == nullptr;
    Log(LogLevel::kInfo, "{} is ready", Label(plugin));
    Finish(&plugin, OkStatus());
  } else {
    plugin.state = State::kFailed;
    plugin.reason = Message(status);
    Log(LogLevel::kError, "{} failed to load: {}", Label(plugin), plugin.reason);
    Finish(&plugin, Unavailable(plugin.reason));
  }
}

void Manager::DropHost(uint64_t number) {
  for (engine::ChannelEngine* engine : engines_) engine->CloseLane(number);
  hosts_.erase(number);
}

// Another loaded version, the highest, takes over what is bound to the name.
void Manager::Deactivate(PluginVersion& plugin) {
  if (!std::exchange(plugin.active, false)) return;
  const auto& versions = catalog_.plugins().find(plugin.manifest.name)->second;
  for (auto other = versions.rbegin(); other != versions.rend(); ++other) {
    if (other->second->state != State::kReady) continue;
    other->second->active = true;
    break;
  }
}

void Manager::OnHostFailed(uint64_t number, const Status& status) {
  const auto it = hosts_.find(number);
  if (it == hosts_.end()) return;
  const auto found = catalog_.FindPlugin(it->second.plugin, it->second.version);
  if (found.ok()) {
    (*found)->state = State::kFailed;
    (*found)->reason = Message(status);
    Deactivate(**found);
  }
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->host != number || model->state != State::kReady) continue;
      model->state = State::kFailed;
      model->reason = Message(status);
      model->host = 0;
    }
  }
  Publish();
  // Not from inside the host's own call.
  control_.Post([this, number] { DropHost(number); });
}

void Manager::UnloadPlugin(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindPlugin(name, version);
  if (!found.ok()) {
    done(found.status());
    return;
  }
  PluginVersion& plugin = **found;
  if (plugin.state == State::kRegistered || plugin.state == State::kUnloaded ||
      plugin.state == State::kFailed) {
    plugin.state = State::kUnloaded;
    plugin.reason.clear();
    done(OkStatus());
    return;
  }
  if (plugin.state != State::kReady) {
    done(FailedPrecondition(fmt::format("{} is {}: try again when that is done", Label(plugin),
                                        StateName(plugin.state))));
    return;
  }
  if (const size_t models = catalog_.ModelsOn(plugin); models > 0) {
    done(FailedPrecondition(
        fmt::format("{} runs {} models: unload them first", Label(plugin), models)));
    return;
  }
  plugin.state = State::kDraining;
  Deactivate(plugin);
  const uint64_t number = HostOf(plugin);
  hosts_.at(number).host->Stop(
      [this, n = std::string(name), v = std::string(version), number, done = std::move(done)] {
        control_.Post([this, number] { DropHost(number); });
        const auto record = catalog_.FindPlugin(n, v);
        if (record.ok()) (*record)->state = State::kUnloaded;
        done(OkStatus());
      });
}

// --------------------------------------------------------------------- models

void Manager::LoadModel(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok()) {
    done(found.status());
    return;
  }
  Load(**found, Desired::kLoaded, std::move(done));
}

void Manager::Load(ModelVersion& model, Desired desired, Done done) {
  if (model.state == State::kReady) {
    model.desired = desired;
    done(OkStatus());
    return;
  }
  if (model.state == State::kLoading) {
    model.desired = desired;
    waiters_[&model].push_back(std::move(done));
    return;
  }
  if (model.state == State::kDraining) {
    done(FailedPrecondition(Label(model) + " is being unloaded: try again when it is"));
    return;
  }
  PluginVersion* plugin = catalog_.ActivePlugin(model.plugin);
  const auto host = plugin != nullptr ? hosts_.find(HostOf(*plugin)) : hosts_.end();
  if (host == hosts_.end()) {
    done(FailedPrecondition(
        fmt::format("{} needs plugin {}, of which no version is loaded: load one first",
                    Label(model), model.plugin)));
    return;
  }
  if (plugin->state != State::kReady) {
    done(FailedPrecondition(fmt::format("{} needs {}, which is {}: load the plugin again first",
                                        Label(model), Label(*plugin), StateName(plugin->state))));
    return;
  }
  waiters_[&model].push_back(std::move(done));
  model.desired = desired;
  model.plugin_version = plugin->manifest.version;
  StartLoad(model, host->first);
}

void Manager::StartLoad(ModelVersion& model, uint64_t number) {
  RunningHost& running = hosts_.at(number);
  model.state = State::kLoading;
  model.reason.clear();
  model.host = number;
  model.handle = running.next_handle++;
  Publish();
  StatusOr<std::vector<OwnedFd>> fds = catalog::OpenArtefact(model.artefact);
  const std::string version = std::to_string(model.version);
  if (!fds.ok()) {
    OnModelLoaded(model.name, version, model.id, fds.status());
    return;
  }
  backend::ModelFiles files;
  files.load.handle = model.handle;
  files.load.name = model.name;
  files.load.version = version;
  files.load.config = boost::json::serialize(model.config);
  files.load.main_file = model.artefact.main_file;
  files.load.files = model.artefact.files;
  files.fds = *std::move(fds);
  running.host->LoadModel(std::move(files), [this, name = model.name, version,
                                             id = model.id](StatusOr<ModelInfo> info) {
    OnModelLoaded(name, version, id, std::move(info));
  });
}

void Manager::OnModelLoaded(const std::string& name, const std::string& version, uint64_t id,
                            StatusOr<ModelInfo> info) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok() || (*found)->id != id) return;
  ModelVersion& model = **found;
  if (info.ok()) {
    model.state = State::kReady;
    model.info = std::make_shared<const ModelInfo>(*std::move(info));
    Log(LogLevel::kInfo, "{} is ready", Label(model));
    Publish();
    Finish(&model, OkStatus());
    return;
  }
  model.state = State::kFailed;
  model.reason = Message(info.status());
  model.host = 0;
  Log(LogLevel::kWarning, "{} failed to load: {}", Label(model), model.reason);
  Publish();
  Finish(&model, Unavailable(model.reason));
}

void Manager::UnloadModel(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok()) {
    done(found.status());
    return;
  }
  ModelVersion& model = **found;
  if (model.state == State::kLoading || model.state == State::kDraining) {
    done(FailedPrecondition(fmt::format("{} is {}: try again when that is done", Label(model),
                                        StateName(model.state))));
    return;
  }
  model.desired = Desired::kUnloaded;
  if (model.state != State::kReady) {
    model.state = State::kUnloaded;
    model.reason.clear();
    Publish();
    done(OkStatus());
    return;
  }
  model.state = State::kDraining;
  Publish();
  const auto host = hosts_.find(model.host);
  const auto unloaded = [this, n = model.name, v = std::to_string(model.version), id = model.id,
                         done = std::move(done)](const Status& status) {
    const auto record = catalog_.FindModel(n, v);
    if (record.ok() && (*record)->id == id) {
      (*record)->state = State::kUnloaded;
      (*record)->reason = Message(status);
      (*record)->host = 0;
      (*record)->info.reset();
      Publish();
    }
    done(status);
  };
  if (host == hosts_.end()) {
    unloaded(OkStatus());
  } else {
    host->second.host->UnloadModel(model.handle, unloaded);
  }
}

void Manager::EnsureLoaded(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok()) {
    done(found.status());
    return;
  }
  ModelVersion& model = **found;
  const bool may_load = model.state == State::kReady || model.state == State::kLoading ||
                        (model.state == State::kRegistered && model.desired == Desired::kOnDemand);
  if (!may_load) {
    done(Unavailable(fmt::format("{} is {}{}{}", Label(model), StateName(model.state),
                                 model.reason.empty() ? "" : ": ", model.reason)));
    return;
  }
  Load(model, model.desired, std::move(done));
}

// ------------------------------------------------------------------- snapshot

bool Manager::Ready() const {
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->desired == Desired::kLoaded && model->state != State::kReady) return false;
    }
  }
  return true;
}

void Manager::Publish() {
  auto table = std::make_shared<engine::RoutingTable>();
  for (const auto& [name, versions] : catalog_.models()) {
    auto& out = table->models[name].versions;
    for (const auto& [version, model] : versions) out.push_back(MakeRoute(*model));
  }
  table->ready = Ready();
  for (engine::ChannelEngine* engine : engines_) engine->Publish(table);
}

void Manager::StopAll(const std::function<void()>& done) {
  if (hosts_.empty()) {
    done();
    return;
  }
  const auto left = std::make_shared<size_t>(hosts_.size());
  const auto hosts = hosts_;
  for (const auto& [number, running] : hosts) {
    running.host->Stop([left, done] {
      if (--*left == 0) done();
    });
  }
}

void Manager::KillHosts() {
  for (const auto& [number, running] : hosts_) running.host->KillNow();
}

std::vector<Manager::HostRow> Manager::Hosts() const {
  std::vector<HostRow> out;
  for (const auto& [number, running] : hosts_) {
    out.push_back({running.plugin, running.version, running.host.get()});
  }
  return out;
}

}  // namespace mlos::lifecycle
