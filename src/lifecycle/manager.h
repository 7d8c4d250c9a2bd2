// SPDX-License-Identifier: Apache-2.0
//
// Makes the catalog true: starts and stops plugin hosts, loads and unloads
// models, hands models over from one host to another, and publishes the
// routing snapshot after every change.  What a change does in each state is
// catalog/state.h's to say.
//
// Threads: the control loop only.  Outlives the hosts' callbacks: StopAll
// before it goes.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backend/plugin_host.h"
#include "base/event_loop.h"
#include "catalog/catalog.h"
#include "engine/channel_engine.h"
#include "lifecycle/background.h"
#include "lifecycle/direct_channels.h"

namespace mlos::lifecycle {

struct ManagerOptions {
  std::string host_program;  // mlos-plugin-host
  uint32_t workers = 2;      // threads of a host that run requests
  // A request that runs this much past its deadline is taken for a hang.
  uint64_t hang_limit_ms = 10'000;
  // Requests that still hold a model after so long lose it.
  uint64_t drain_limit_ms = 60'000;
  std::string package_dir;              // where installed packages are kept; empty: nowhere
  size_t max_channels = 256;            // of local applications
  backend::HostWatch* watch = nullptr;  // outlives the manager; may be null
};

class Manager {
 public:
  using Done = std::function<void(Status)>;

  Manager(EventLoop& control, catalog::Catalog& catalog, ManagerOptions options);
  // Before anything is loaded.  Borrowed.
  void AddEngine(engine::ChannelEngine* engine) { engines_.push_back(engine); }
  DirectChannels& channels() { return channels_; }

  // Starts to make true what the catalog restored: loads what should be loaded.
  void Reconcile();

  // Each is idempotent; `done` comes when the state is reached, or with the
  // reason why not: FAILED_PRECONDITION in a state that does not allow it,
  // UNAVAILABLE when the load failed, what the state store said when it
  // refused to keep it.
  void LoadPlugin(std::string_view name, std::string_view version, Done done);
  void UnloadPlugin(std::string_view name, std::string_view version, Done done);
  void LoadModel(std::string_view name, std::string_view version, Done done);
  // The same for who does not wait: once it is under way it is kept as wanted, and
  // where it fails it is so no more.  Where this daemon ends first, the next one finds
  // a model that is wanted like any other, and keeps it so also where its load fails.
  // While such a load runs, asking again holds nothing: `done` comes soon, with OK.
  void PromiseModel(std::string_view name, std::string_view version, Done done);
  // A promise for who waits nevertheless: `done` comes at the load's end.
  void PromiseAndLoadModel(std::string_view name, std::string_view version, Done done);
  void UnloadModel(std::string_view name, std::string_view version, Done done);
  // For the first inference of a model that is registered on demand.
  void EnsureLoaded(std::string_view name, std::string_view version, Done done);

  // Makes `version` the active one: loads it and every model of the active
  // version beside that, switches, lets the old one finish, ends it.  Where
  // anything fails before the switch, nothing has changed.
  void SwapPlugin(std::string_view name, std::string_view version, Done done);

  // Copies the package to where installed packages are kept, and registers the
  // copy; `done` gets the record and whether it is new.
  using Installed = StatusOr<catalog::Registered<catalog::PluginVersion>>;
  void InstallPlugin(const std::string& path, std::function<void(Installed)> done);

  // ---- models of a repository: reload.cc
  // Loads what the model is by `anew` beside what serves, and then lets that go;
  // where anything fails it serves as it did.  For one that is ready.
  void ReloadModel(catalog::ModelVersion& model,
                   const std::shared_ptr<const catalog::ModelVersion>& anew, const Done& done);
  // Starts the highest version of the plugin, unless one is loaded or on its way.
  // That it is needed is of this run.
  void NeedPlugin(std::string_view name);
  // It cannot be loaded, for its fault.
  void FailModel(catalog::ModelVersion& model);
  // What it is made of has changed while it was not loaded.
  void ResetModel(catalog::ModelVersion& model);
  // It is as it was before something was tried with it.
  void RestoreModel(catalog::ModelVersion& model, const catalog::ModelVersion& was);
  // A load that began with `unloads` has failed: `before` is wanted as it was.
  void TakeBack(uint64_t id, uint64_t unloads, catalog::Desired before);
  // While there is a reason the daemon is not ready, whatever is loaded.
  void HoldReadiness(std::string why);

  // Models that should be loaded and are nowhere; they may come.
  void SetAbsent(std::set<std::string> names);

  // A model's or plugin's files are hashed when there is time for it.
  void HashLater(const catalog::ModelVersion& model);
  void HashLater(const catalog::PluginVersion& plugin);

  // After a model was registered or removed, or its labels or policy changed:
  // its part of the snapshot is made anew, and the snapshot published.
  void Publish(std::string_view name);
  void Publish();  // readiness alone has changed
  // Versions that the policy leaves out are unloaded.
  void ApplyPolicy(std::string_view name);
  // While it is held the model's policy leaves out nothing that serves.
  void HoldPolicy(const std::string& name, bool hold);
  // While one lives nothing is published; at its end everything is, at once, where
  // anything was to be.
  class PublishOnce {
   public:
    explicit PublishOnce(Manager& manager)
        : manager_(manager), outer_(std::exchange(manager.hold_publishing_, true)) {}
    ~PublishOnce() {
      manager_.hold_publishing_ = outer_;
      if (!outer_ && std::exchange(manager_.publishing_is_due_, false)) manager_.Publish();
    }
    PublishOnce(const PublishOnce&) = delete;
    PublishOnce& operator=(const PublishOnce&) = delete;

   private:
    Manager& manager_;
    const bool outer_;
  };
  // Stops every host; `done` when all have ended.
  void StopAll(const std::function<void()>& done);
  // After StopAll: does not wait for what they still do.
  void KillHosts();

  // Everything that should be loaded is, and the daemon is not being stopped.
  bool Ready() const { return WhatIsMissing().empty(); }
  // Empty when ready, else what is not, for people; not all of many.
  std::string WhatIsMissing() const;
  void NoteStopping() { stopping_soon_ = true; }
  // False: the daemon is ready also while models or plugins are not.
  void set_strict_readiness(bool strict) { strict_readiness_ = strict; }

  struct HostRow {
    uint64_t number;  // as in routes and lanes
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
  // A model's place: number of the host, handle in it.
  using Place = std::pair<uint64_t, uint32_t>;
  struct Drain {
    std::function<void()> then;
    std::unique_ptr<boost::asio::steady_timer> limit;
  };
  // Models on their way from one host of a plugin to another.
  struct Handover {
    std::string plugin;
    std::string from;  // versions; the same when only the process is renewed
    std::string to;
    uint64_t old_host = 0;
    uint64_t new_host = 0;
    bool started_new = false;  // it has to go again where this fails
    struct Moved {
      uint32_t handle = 0;
      std::shared_ptr<const ModelInfo> info;
      std::shared_ptr<const ModelSettings> settings;
    };
    std::map<uint64_t, Moved> moved;  // by the model's registration
    size_t draining = 0;              // places in the old host that are still held
    bool switched = false;
    Done done;
    std::vector<std::function<void()>> deferred;    // changes that wait for the switch
    std::vector<std::function<void()>> afterwards;  // those that wait for the end
    bool same_version() const { return from == to; }
  };
  using Waiters = std::map<const void*, std::vector<Done>>;

  // ---- hosts: manager.cc
  uint64_t LaunchHost(const catalog::PluginVersion& plugin,
                      std::function<void(uint64_t, Status)> started);
  void OnHostFailed(uint64_t number, const Status& status);
  void OnModelLost(uint64_t number, uint32_t handle, const Status& status);
  void DropHost(uint64_t number);
  void StopHost(uint64_t number, std::function<void()> done);
  void WhenUnused(Place place, std::function<void()> then);
  void OnUnused(Place place);

  // ---- plugins: plugins.cc
  void CheckLibrary(catalog::PluginVersion& plugin, const Done& checked);
  void StartPlugin(catalog::PluginVersion& plugin);
  void PluginStarted(const std::string& name, const std::string& version, uint64_t number,
                     const Status& status);
  void PluginFailed(catalog::PluginVersion& plugin, const Status& status);
  void LoadFailed(catalog::PluginVersion& plugin, const Status& status);
  void ReconcileModels(std::string_view plugin);
  catalog::PluginVersion* AwaitedVersion(std::string_view plugin) const;
  const catalog::PluginVersion* FailedVersion(std::string_view plugin) const;
  void FinishPolicies();

  // ---- models: models.cc
  void SaveChecksumsSoon();
  using Competing = catalog::Competing;
  void Load(catalog::ModelVersion& model, Done done, Competing competing = Competing::kAll);
  Status KeepLoaded(uint64_t id);
  bool WaitForPlugin(const catalog::ModelVersion& model, const Done& done, Competing competing);
  bool IsPromised(const catalog::ModelVersion& model) const;
  void StartLoad(catalog::ModelVersion& model, uint64_t number);
  void LoadLabels(const catalog::ModelVersion& model);
  void OpenFiles(catalog::ModelVersion& model);
  void CheckFiles(catalog::ModelVersion& model, std::vector<OwnedFd> fds,
                  const std::vector<size_t>& changed);
  void SendLoad(catalog::ModelVersion& model, std::vector<OwnedFd> fds);
  static StatusOr<backend::ModelFiles> FilesOf(const catalog::ModelVersion& model, uint32_t handle,
                                               std::vector<OwnedFd> fds);
  // `may_pass`: what failed it may be gone by itself.
  void OnModelLoaded(uint64_t id, StatusOr<ModelInfo> info, bool may_pass = false);
  void OnReloaded(uint64_t id, Place place, const catalog::ModelVersion& anew,
                  StatusOr<ModelInfo> info, const Done& done);
  void Readmit(catalog::ModelVersion& model);
  void LeaveOut(catalog::ModelVersion& model, const Status& why);
  void DrainModel(catalog::ModelVersion& model, const std::string& reason);
  void OnModelUnloaded(uint64_t id, const Status& status);
  bool Defer(std::string_view plugin, std::function<void()> change);

  // ---- handing over: handover.cc
  bool AfterRenewal(std::string_view plugin, std::function<void()> change);
  void RenewIfBloated(const std::string& plugin);
  void RenewHost(const catalog::PluginVersion& plugin);
  void Begin(Handover handover, catalog::PluginVersion& to);
  void MoveNext(const std::string& plugin);
  void Switch(const std::string& plugin);
  void MoveRoutes(Handover& handover);
  void EndHandover(const std::string& plugin);
  void FailHandover(const std::string& plugin, const Status& status);
  void LeaveOldHost(const std::string& plugin, uint64_t number);
  static Status HandingOver(std::string_view plugin);
  bool IsInHandover(const catalog::PluginVersion& plugin);
  Handover* HandoverOf(std::string_view plugin);

  // ---- the snapshot: snapshot.cc
  void Refresh(std::string_view name);
  void Settle(catalog::ModelVersion& model, Place place, std::shared_ptr<const ModelInfo> info,
              std::shared_ptr<const ModelSettings> settings);
  void Unsettle(catalog::ModelVersion& model, catalog::State state, std::string reason);
  engine::RoutePin MakeRoute(const catalog::ModelVersion& model) const;

  void Finish(const void* record, const Status& status);

  EventLoop& control_;
  catalog::Catalog& catalog_;
  const ManagerOptions options_;
  std::vector<engine::ChannelEngine*> engines_;
  std::map<uint64_t, RunningHost> hosts_;
  DirectChannels channels_;
  uint64_t next_host_ = 1;
  Waiters waiters_;  // by record: who waits for its load or unload to end
  // What a load that fails goes back to.
  std::set<const catalog::PluginVersion*> was_unwanted_;
  // Registrations whose load is kept before it is done, with `unloads` as it began.
  std::map<uint64_t, uint64_t> promised_;
  std::map<uint64_t, std::shared_ptr<const engine::Lease>> leases_;  // by registration
  engine::RoutingTable table_;                                       // as published
  std::map<Place, Drain> drains_;
  std::set<std::string, std::less<>> held_policies_;        // by model
  std::map<std::string, Handover, std::less<>> handovers_;  // by plugin
  boost::asio::steady_timer save_timer_;
  bool saving_soon_ = false;
  bool stopping_soon_ = false;
  std::set<std::string> absent_;
  std::string readiness_held_;             // why; empty: it is not
  std::map<std::string, size_t> reloads_;  // under way, by plugin
  bool strict_readiness_ = true;
  bool stopping_ = false;
  bool hold_publishing_ = false;  // a PublishOnce lives
  bool publishing_is_due_ = false;
  Background background_;
};

}  // namespace mlos::lifecycle
