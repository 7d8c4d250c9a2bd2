// SPDX-License-Identifier: Apache-2.0
//
// Makes the catalog true: starts and stops plugin hosts, loads and unloads
// models, and publishes the routing snapshot after every change.
//
// Threads: the control loop only.  Outlives the hosts' callbacks: StopAll
// before it goes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/plugin_host.h"
#include "base/event_loop.h"
#include "catalog/catalog.h"
#include "engine/channel_engine.h"

namespace mlos::lifecycle {

struct ManagerOptions {
  std::string host_program;  // mlos-plugin-host
  uint32_t workers = 2;      // threads of a host that run requests
};

class Manager {
 public:
  using Done = std::function<void(Status)>;

  Manager(EventLoop& control, catalog::Catalog& catalog, ManagerOptions options);
  // Before anything is loaded.  Borrowed.
  void AddEngine(engine::ChannelEngine* engine) { engines_.push_back(engine); }

  // Each is idempotent; `done` comes when the state is reached, or with the
  // reason why not: FAILED_PRECONDITION in a state that does not allow it,
  // UNAVAILABLE when the load failed.
  void LoadPlugin(std::string_view name, std::string_view version, Done done);
  void UnloadPlugin(std::string_view name, std::string_view version, Done done);
  void LoadModel(std::string_view name, std::string_view version, Done done);
  void UnloadModel(std::string_view name, std::string_view version, Done done);
  // For the first inference of a model that is registered on demand.
  void EnsureLoaded(std::string_view name, std::string_view version, Done done);

  void Publish();
  // Stops every host; `done` when all have ended.
  void StopAll(const std::function<void()>& done);
  // After StopAll: does not wait for what they still do.
  void KillHosts();

  // Every model that should be loaded is.
  bool Ready() const;

  struct HostRow {
    std::string plugin;
    std::string version;
    const backend::PluginHost* host;
  };
  std::vector<HostRow> Hosts() const;

 private:
  struct RunningHost {
    std::shared_ptr<backend::PluginHost> host;
    std::string plugin;
    std::string version;
    uint32_t next_handle = 1;
  };
  using Waiters = std::map<const void*, std::vector<Done>>;

  void StartHost(catalog::PluginVersion& plugin);
  void OnHostStarted(const std::string& name, const std::string& version, uint64_t number,
                     const Status& status);
  void OnHostFailed(uint64_t number, const Status& status);
  void DropHost(uint64_t number);
  void Deactivate(catalog::PluginVersion& plugin);
  void Load(catalog::ModelVersion& model, catalog::Desired desired, Done done);
  void StartLoad(catalog::ModelVersion& model, uint64_t number);
  void OnModelLoaded(const std::string& name, const std::string& version, uint64_t id,
                     StatusOr<ModelInfo> info);
  void Finish(const void* record, const Status& status);
  uint64_t HostOf(const catalog::PluginVersion& plugin) const;

  EventLoop& control_;
  catalog::Catalog& catalog_;
  const ManagerOptions options_;
  std::vector<engine::ChannelEngine*> engines_;
  std::map<uint64_t, RunningHost> hosts_;
  uint64_t next_host_ = 1;
  Waiters waiters_;  // by record: who waits for its load to end
};

}  // namespace mlos::lifecycle
