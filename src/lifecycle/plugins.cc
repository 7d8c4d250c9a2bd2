// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include "base/log.h"
#include "catalog/package.h"
#include "lifecycle/manager.h"

namespace mlos::lifecycle {

using catalog::Change;
using catalog::Desired;
using catalog::FileIdentity;
using catalog::PluginVersion;
using catalog::State;
using catalog::Verdict;

namespace {

std::string LibraryPath(const PluginVersion& plugin) {
  return plugin.directory + "/" + plugin.manifest.library;
}

StatusOr<OwnedFd> OpenLibrary(const std::string& path, FileIdentity* now) {
  OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat st;
  if (!fd || fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) {
    return FailedPrecondition("its library is not in its package any more");
  }
  *now = catalog::IdentityOf(st);
  return fd;
}

Status Changed(const PluginVersion& plugin) {
  return FailedPrecondition(fmt::format(
      "{}: its library has changed since it was registered: register it as another version, or "
      "remove this one and register it again",
      Label(plugin)));
}

}  // namespace

void Manager::Reconcile() {
  for (const auto& [name, versions] : catalog_.plugins()) {
    for (const auto& [number, plugin] : versions) {
      HashLater(*plugin);
      if (plugin->wanted && plugin->state == State::kRegistered) StartPlugin(*plugin);
    }
  }
  FinishPolicies();
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) HashLater(*model);
    Refresh(name);
  }
  Publish();
}

// A version that the policy left out was to be unloaded when the daemon was
// ended.  Not so one that only a newer one would push out: that is not there
// yet, and where it does not come the older one serves, as it did.
void Manager::FinishPolicies() {
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->desired != Desired::kLoaded) continue;
      const Status admitted = catalog_.CheckPolicy(*model, Competing::kReady);
      if (!admitted.ok()) LeaveOut(*model, admitted);
    }
  }
}

void Manager::HashLater(const PluginVersion& plugin) {
  if (!plugin.library.sha256.empty()) return;
  background_.Do(Urgency::kWhenIdle,
                 [this, copy = plugin](const std::atomic<bool>& stop) -> Background::Result {
                   FileIdentity now;
                   const StatusOr<OwnedFd> library = OpenLibrary(LibraryPath(copy), &now);
                   if (!library.ok() || !now.SameStat(copy.library))
                     return [] {};  // a load will say so
                   const StatusOr<std::string> sum = catalog::Sha256Of(library->get(), stop);
                   struct stat after;
                   if (!sum.ok() || fstat(library->get(), &after) != 0 ||
                       !catalog::IdentityOf(after).SameStat(now)) {
                     return [] {};  // written to meanwhile: who knows what was read
                   }
                   now.sha256 = *sum;
                   return [this, now, name = copy.manifest.name, version = copy.manifest.version] {
                     const auto found = catalog_.FindPlugin(name, version);
                     if (!found.ok() || !(*found)->library.SameStat(now)) return;
                     const Status kept = catalog_.SetChecksum(**found, now);
                     if (!kept.ok()) Log(LogLevel::kWarning, "{}", Message(kept));
                   };
                 });
}

void Manager::InstallPlugin(const std::string& path, std::function<void(Installed)> done) {
  if (options_.package_dir.empty()) {
    return done(FailedPrecondition("this daemon has no directory to install packages in"));
  }
  const auto install = [this, path, root = options_.package_dir,
                        done](const std::atomic<bool>& stop) -> Background::Result {
    return [this, path, done, copy = catalog::InstallPackage(path, root, stop)] {
      done(copy.ok() ? catalog_.RegisterPlugin(*copy, path) : Installed(copy.status()));
    };
  };
  background_.Do(Urgency::kNow, install,
                 [done = std::move(done)](const Status& status) { done(status); });
}

// The library is what was registered: by its size and time, or else by its
// checksum.
void Manager::CheckLibrary(PluginVersion& plugin, const Done& checked) {
  FileIdentity now;
  StatusOr<OwnedFd> library = OpenLibrary(LibraryPath(plugin), &now);
  if (!library.ok()) return checked(Annotate(library.status(), Label(plugin)));
  if (now.SameStat(plugin.library)) return checked(OkStatus());
  if (plugin.library.sha256.empty()) return checked(Changed(plugin));
  std::vector<OwnedFd> files;
  files.push_back(*std::move(library));
  background_.Checksum(std::move(files), Urgency::kNow,
                       [this, &plugin, now, checked](const Background::Sums& sums) mutable {
                         // It is loading: nobody removes it meanwhile.
                         if (!sums.ok()) return checked(sums.status());
                         if (sums->front() != plugin.library.sha256)
                           return checked(Changed(plugin));
                         now.sha256 = sums->front();
                         // That its new time could not be kept does not make it another.
                         const Status kept = catalog_.SetChecksum(plugin, now);
                         if (!kept.ok()) Log(LogLevel::kWarning, "{}", Message(kept));
                         checked(OkStatus());
                       });
}

void Manager::LoadPlugin(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindPlugin(name, version);
  if (!found.ok()) return done(found.status());
  PluginVersion& plugin = **found;
  const catalog::Answer answer = PluginAnswer(Change::kLoad, plugin.state);
  if (answer.verdict == Verdict::kRefuse) return done(Refusal(answer, Label(plugin)));
  // Its host died while its models go to another version, or come from one.
  if (answer.verdict == Verdict::kDo && IsInHandover(plugin)) return done(HandingOver(name));
  const bool was_wanted = plugin.wanted;
  if (Status kept = catalog_.SetWanted(plugin, true); !kept.ok()) return done(kept);
  if (answer.verdict == Verdict::kAlready) return done(OkStatus());
  waiters_[&plugin].push_back(std::move(done));
  if (!was_wanted) was_unwanted_.insert(&plugin);
  if (answer.verdict == Verdict::kDo) StartPlugin(plugin);
}

void Manager::StartPlugin(PluginVersion& plugin) {
  plugin.state = State::kLoading;
  plugin.reason.clear();
  Publish();
  CheckLibrary(plugin, [this, &plugin](const Status& status) {
    const std::string& name = plugin.manifest.name;
    const std::string& version = plugin.manifest.version;
    if (!status.ok()) {
      PluginStarted(name, version, 0, status);
      return;
    }
    plugin.host = LaunchHost(plugin, [this, name, version](uint64_t number, const Status& started) {
      PluginStarted(name, version, number,
                    started.ok() ? OkStatus() : Unavailable(Message(started)));
    });
  });
}

void Manager::PluginStarted(const std::string& name, const std::string& version, uint64_t number,
                            const Status& status) {
  if (!status.ok() && number != 0) DropHost(number);
  const auto found = catalog_.FindPlugin(name, version);
  if (!found.ok()) return;
  PluginVersion& plugin = **found;
  if (status.ok()) {
    was_unwanted_.erase(&plugin);
    plugin.state = State::kReady;
    catalog_.ChooseActive(name);
    Log(LogLevel::kInfo, "{} is ready", Label(plugin));
    Publish();
    Finish(&plugin, OkStatus());
    ReconcileModels(name);
    return;
  }
  PluginFailed(plugin, status);
  LoadFailed(plugin, status);
}

// A load that failed was no change of what is wanted.  One that the daemon's
// end cuts short has not failed: the next daemon goes on with it.
void Manager::LoadFailed(PluginVersion& plugin, const Status& status) {
  if (was_unwanted_.erase(&plugin) != 0 && !stopping_) {
    const Status kept = catalog_.SetWanted(plugin, false);
    if (!kept.ok()) Log(LogLevel::kWarning, "{}", Message(kept));
    Publish();
  }
  const bool theirs = status.code() == StatusCode::kFailedPrecondition;  // to mend
  Finish(&plugin, theirs ? status : Unavailable(Message(status)));
}

void Manager::PluginFailed(PluginVersion& plugin, const Status& status) {
  plugin.state = State::kFailed;
  plugin.reason = Message(status);
  plugin.host = 0;
  Log(LogLevel::kError, "{} failed: {}", Label(plugin), plugin.reason);
  catalog_.ChooseActive(plugin.manifest.name);
  Publish();
  if (catalog_.ActivePlugin(plugin.manifest.name) != nullptr ||
      AwaitedVersion(plugin.manifest.name) != nullptr) {
    return;
  }
  // Models that wait for it will not come, for now.
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->plugin != plugin.manifest.name || model->state != State::kRegistered ||
          model->desired != Desired::kLoaded) {
        continue;
      }
      Unsettle(*model, State::kFailed, plugin.reason);
    }
  }
}

// The version that is being loaded and is to have the plugin's models: the
// preferred one, or any while none is active.  nullptr: none.
PluginVersion* Manager::AwaitedVersion(std::string_view plugin) const {
  const auto it = catalog_.plugins().find(plugin);
  if (it == catalog_.plugins().end()) return nullptr;
  PluginVersion* any = nullptr;
  for (const auto& [number, version] : it->second) {
    if (version->state != State::kLoading) continue;
    if (version->preferred) return version.get();
    any = version.get();
  }
  return catalog_.ActivePlugin(plugin) == nullptr ? any : nullptr;
}

const PluginVersion* Manager::FailedVersion(std::string_view plugin) const {
  const auto it = catalog_.plugins().find(plugin);
  if (it == catalog_.plugins().end()) return nullptr;
  for (auto version = it->second.rbegin(); version != it->second.rend(); ++version) {
    if (version->second->state == State::kFailed) return version->second.get();
  }
  return nullptr;
}

// Models that should be loaded and are not get their chance, now that a
// version of their plugin is there.
void Manager::ReconcileModels(std::string_view plugin) {
  const PublishOnce all_that_begin_to_load(*this);
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->plugin != plugin || model->desired != Desired::kLoaded) continue;
      if (model->state != State::kRegistered && model->state != State::kFailed) continue;
      if (!model->fault.empty()) continue;
      // The model's reason says what failed.  Of versions that a policy lets
      // follow each other all come back: the older ones go when the newer are there.
      Load(
          *model, [](const Status&) {}, Competing::kReady);
    }
  }
}

void Manager::UnloadPlugin(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindPlugin(name, version);
  if (!found.ok()) return done(found.status());
  PluginVersion& plugin = **found;
  const catalog::Answer answer = PluginAnswer(Change::kUnload, plugin.state);
  if (answer.verdict == Verdict::kRefuse) return done(Refusal(answer, Label(plugin)));
  if (answer.verdict == Verdict::kJoin) {
    waiters_[&plugin].push_back(std::move(done));
    return;
  }
  if (AfterRenewal(name, [this, n = std::string(name), v = std::string(version), done] {
        UnloadPlugin(n, v, done);
      })) {
    return;
  }
  if (IsInHandover(plugin)) return done(HandingOver(name));
  const size_t models = plugin.state == State::kReady ? catalog_.ModelsOn(plugin) : 0;
  if (models > 0) {
    return done(
        FailedPrecondition(fmt::format("{} runs {} model{}: unload {} first", Label(plugin), models,
                                       models == 1 ? "" : "s", models == 1 ? "it" : "them")));
  }
  if (Status kept = catalog_.SetWanted(plugin, false); !kept.ok()) return done(kept);
  plugin.reason.clear();
  if (plugin.state != State::kReady) {
    plugin.state = State::kUnloaded;
    Publish();
    return done(OkStatus());
  }
  plugin.state = State::kDraining;
  catalog_.ChooseActive(name);
  waiters_[&plugin].push_back(std::move(done));
  StopHost(plugin.host, [this, n = std::string(name), v = std::string(version)] {
    const auto record = catalog_.FindPlugin(n, v);
    if (!record.ok()) return;
    (*record)->state = State::kUnloaded;
    (*record)->host = 0;
    Log(LogLevel::kInfo, "{} is unloaded", Label(**record));
    Finish(*record, OkStatus());
  });
}

}  // namespace mlos::lifecycle
