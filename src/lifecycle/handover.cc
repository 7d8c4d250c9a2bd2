// SPDX-License-Identifier: Apache-2.0
//
// Handing models over from one host of a plugin to another: to another version
// (swap), or to a new process of the same one.
//
//   start the new host -> load each model into it -> switch the routes, at once
//   -> wait until no request holds the old places -> end the old host
//
// Until the switch a failure leaves everything as it was; after it the old
// host only finishes.
#include <fmt/core.h>

#include "base/log.h"
#include "lifecycle/configure.h"
#include "lifecycle/manager.h"

namespace mlos::lifecycle {

using catalog::Change;
using catalog::ModelVersion;
using catalog::PluginVersion;
using catalog::State;
using catalog::Verdict;

Manager::Handover* Manager::HandoverOf(std::string_view plugin) {
  const auto it = handovers_.find(plugin);
  return it == handovers_.end() ? nullptr : &it->second;
}

Status Manager::HandingOver(std::string_view plugin) {
  return FailedPrecondition(
      fmt::format("plugin {} is handing its models over: try again when that is done", plugin));
}

// True for the versions that the plugin's models go from and to.
bool Manager::IsInHandover(const PluginVersion& plugin) {
  const Handover* handover = HandoverOf(plugin.manifest.name);
  return handover != nullptr &&
         (plugin.manifest.version == handover->from || plugin.manifest.version == handover->to);
}

void Manager::SwapPlugin(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindPlugin(name, version);
  if (!found.ok()) return done(found.status());
  PluginVersion& to = **found;
  PluginVersion* from = catalog_.ActivePlugin(name);
  if (AfterRenewal(name, [this, n = std::string(name), v = std::string(version), done] {
        SwapPlugin(n, v, done);
      })) {
    return;
  }
  if (HandoverOf(name) != nullptr) return done(HandingOver(name));
  if (from == &to) return done(OkStatus());
  const catalog::Answer answer = PluginAnswer(Change::kSwapTo, to.state);
  if (answer.verdict == Verdict::kRefuse) return done(Refusal(answer, Label(to)));
  if (from == nullptr) {
    return done(FailedPrecondition(
        fmt::format("no version of plugin {} is loaded: there is nothing to swap; load {} instead",
                    name, to.manifest.version)));
  }
  Handover handover;
  handover.plugin = name;
  handover.from = from->manifest.version;
  handover.to = version;
  handover.old_host = from->host;
  handover.done = std::move(done);
  Begin(std::move(handover), to);
}

// True: the plugin's process is being renewed, which nobody asked for and must
// be in nobody's way; the change is made when that is done.
bool Manager::AfterRenewal(std::string_view plugin, std::function<void()> change) {
  Handover* handover = HandoverOf(plugin);
  if (handover == nullptr || !handover->same_version()) return false;
  handover->afterwards.push_back(std::move(change));
  return true;
}

void Manager::RenewIfBloated(const std::string& plugin) {
  const PluginVersion* active = catalog_.ActivePlugin(plugin);
  const auto running = active != nullptr ? hosts_.find(active->host) : hosts_.end();
  if (running != hosts_.end() && running->second.host->KeepsMemory()) RenewHost(*active);
}

void Manager::RenewHost(const PluginVersion& plugin) {
  if (stopping_ || HandoverOf(plugin.manifest.name) != nullptr) return;
  Log(LogLevel::kInfo, "{}: memory of unloaded models stays with its host; a new one takes over",
      Label(plugin));
  Handover handover;
  handover.plugin = plugin.manifest.name;
  handover.from = handover.to = plugin.manifest.version;
  handover.old_host = plugin.host;
  handover.done = [](const Status&) {};
  const auto found = catalog_.FindPlugin(handover.plugin, handover.to);
  if (found.ok()) Begin(std::move(handover), **found);
}

void Manager::Begin(Handover handover, PluginVersion& to) {
  const std::string name = handover.plugin;
  const bool running = !handover.same_version() && to.state == State::kReady;
  handover.started_new = !running;
  handover.new_host = running ? to.host : 0;
  Handover& kept = handovers_[name] = std::move(handover);
  if (running) return MoveNext(name);
  if (!kept.same_version()) {
    to.state = State::kLoading;
    to.reason.clear();
  }
  const auto launch = [this, name, &to] {
    Handover* h = HandoverOf(name);
    h->new_host = LaunchHost(to, [this, name](uint64_t number, const Status& status) {
      Handover* starting = HandoverOf(name);
      if (starting == nullptr || starting->new_host != number) return;
      if (!status.ok()) return FailHandover(name, status);
      MoveNext(name);
    });
  };
  if (kept.same_version()) return launch();
  CheckLibrary(to, [this, name, launch](const Status& status) {
    if (HandoverOf(name) == nullptr) return;
    if (!status.ok()) return FailHandover(name, status);
    launch();
  });
}

// Loads one more model into the new host; when there is none left, switches.
void Manager::MoveNext(const std::string& plugin) {
  Handover* handover = HandoverOf(plugin);
  if (handover == nullptr || handover->switched || handover->new_host == 0) return;
  if (reloads_.count(plugin) != 0) return;  // what is moved is what serves after them
  for (const auto& [id, moved] : handover->moved) {
    if (moved.info == nullptr) return;  // one at a time: its answer comes back here
  }
  const auto from = hosts_.find(handover->old_host);
  const auto to = hosts_.find(handover->new_host);
  if (to == hosts_.end() || to->second.host->state() == backend::HostState::kStarting) return;
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->host != handover->old_host || handover->moved.count(model->id) != 0) continue;
      if (model->state == State::kLoading) return;  // OnModelLoaded comes back here
      if (model->state != State::kReady || from == hosts_.end()) continue;
      StatusOr<backend::ModelFiles> files = from->second.host->CopyModel(model->handle);
      if (!files.ok()) continue;  // it was lost; OnModelLost has said so
      const uint32_t handle = to->second.next_handle++;
      files->load.handle = handle;
      handover->moved[model->id].handle = handle;
      to->second.host->LoadModel(
          *std::move(files), [this, plugin, id = model->id, number = to->first,
                              label = Label(*model)](StatusOr<ModelInfo> info) {
            Handover* moving = HandoverOf(plugin);
            if (moving == nullptr || moving->new_host != number) return;
            const ModelVersion* record = catalog_.FindModel(id);
            if (info.ok() && record != nullptr) {
              // The plugin's other version may describe the model otherwise.
              auto settings = Configure(*record, *info);
              if (!settings.ok()) info = settings.status();
              if (settings.ok()) moving->moved[id].settings = *std::move(settings);
            }
            if (!info.ok()) return FailHandover(plugin, Annotate(info.status(), label));
            moving->moved[id].info = std::make_shared<const ModelInfo>(*std::move(info));
            MoveNext(plugin);
          });
      return;
    }
  }
  Switch(plugin);
}

void Manager::Switch(const std::string& plugin) {
  Handover& handover = *HandoverOf(plugin);
  const auto from = catalog_.FindPlugin(plugin, handover.from);
  const auto to = catalog_.FindPlugin(plugin, handover.to);
  if (!from.ok() || !to.ok()) return FailHandover(plugin, NotFound("a version was removed"));
  if (!handover.same_version()) {
    if (Status kept = catalog_.SetSwapped(**from, **to); !kept.ok()) {
      return FailHandover(plugin, kept);
    }
    (*from)->state = State::kDraining;
  }
  handover.switched = true;
  (*to)->state = State::kReady;
  (*to)->host = handover.new_host;
  catalog_.ChooseActive(plugin);
  MoveRoutes(handover);
  Log(LogLevel::kInfo, "plugin {}: {} serves instead of {}", plugin, handover.to, handover.from);
  const auto deferred = std::exchange(handover.deferred, {});
  was_unwanted_.erase(*to);
  Finish(*to, OkStatus());
  for (const auto& change : deferred) change();
  ReconcileModels(plugin);
  Handover* after = HandoverOf(plugin);
  if (after != nullptr && after->draining == 0) EndHandover(plugin);
}

// Requests that begin from now on go to the new host; those that hold an old
// place are waited for.
void Manager::MoveRoutes(Handover& handover) {
  const PublishOnce all_at_once(*this);
  for (const auto& [id, moved] : handover.moved) {
    ModelVersion* model = catalog_.FindModel(id);
    if (model == nullptr || (model->state != State::kReady && model->state != State::kFailed)) {
      // It was taken away meanwhile, and stays so.
      const auto host = hosts_.find(handover.new_host);
      if (host != hosts_.end()) {
        host->second.host->UnloadModel(moved.handle, [](const Status&) {});
      }
      continue;
    }
    const Place old{handover.old_host, model->handle};
    if (model->state == State::kReady && model->host == handover.old_host) {
      ++handover.draining;
      WhenUnused(old, [this, plugin = handover.plugin, number = handover.old_host] {
        LeaveOldHost(plugin, number);
      });
    }
    model->plugin_version = handover.to;
    Settle(*model, {handover.new_host, moved.handle}, moved.info, moved.settings);
  }
  // Models that are being unloaded stay, until their last request is answered.
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->host == handover.old_host && model->state == State::kDraining) {
        ++handover.draining;
      }
    }
  }
}

// Nothing holds a place in the plugin's old host any more that did.
void Manager::LeaveOldHost(const std::string& plugin, uint64_t number) {
  Handover* handover = HandoverOf(plugin);
  if (handover == nullptr || handover->old_host != number || handover->draining == 0) return;
  if (--handover->draining == 0) EndHandover(plugin);
}

void Manager::EndHandover(const std::string& plugin) {
  const uint64_t old_host = HandoverOf(plugin)->old_host;
  StopHost(old_host, [this, plugin] {
    const auto it = handovers_.find(plugin);
    if (it == handovers_.end()) return;
    const Handover handover = std::move(it->second);
    handovers_.erase(it);
    const auto from = catalog_.FindPlugin(plugin, handover.from);
    if (!handover.same_version() && from.ok()) {
      (*from)->state = State::kUnloaded;
      (*from)->host = 0;
      Log(LogLevel::kInfo, "{} is unloaded", Label(**from));
      Finish(*from, OkStatus());
    }
    const auto to = catalog_.FindPlugin(plugin, handover.to);
    const bool serves = to.ok() && (*to)->state == State::kReady;
    handover.done(serves ? OkStatus()
                         : Unavailable(to.ok() ? (*to)->reason : "the version was removed"));
    for (const auto& change : handover.afterwards) change();
    RenewIfBloated(plugin);  // a model may have gone meanwhile
  });
}

// Before the switch: the old host goes on as if nothing had been.
void Manager::FailHandover(const std::string& plugin, const Status& status) {
  const auto it = handovers_.find(plugin);
  if (it == handovers_.end()) return;
  const Handover handover = std::move(it->second);
  handovers_.erase(it);
  Log(LogLevel::kError, "plugin {}: {} did not take over from {}: {}", plugin, handover.to,
      handover.from, Message(status));
  const auto to = catalog_.FindPlugin(plugin, handover.to);
  if (handover.started_new) {
    if (to.ok() && !handover.same_version()) {
      (*to)->state = State::kFailed;
      (*to)->reason = Message(status);
      (*to)->host = 0;
    }
    StopHost(handover.new_host, [] {});
  } else if (const auto host = hosts_.find(handover.new_host); host != hosts_.end()) {
    for (const auto& [id, moved] : handover.moved) {
      host->second.host->UnloadModel(moved.handle, [](const Status&) {});
    }
  }
  if (to.ok() && handover.started_new && !handover.same_version()) LoadFailed(**to, status);
  for (const auto& change : handover.deferred) change();
  for (const auto& change : handover.afterwards) change();
  // The state store's own words stay; a version that did not load is that.
  const bool full = status.code() == StatusCode::kResourceExhausted;
  handover.done(full ? status : Unavailable(Message(status)));
}

}  // namespace mlos::lifecycle
