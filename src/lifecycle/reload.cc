// SPDX-License-Identifier: Apache-2.0
//
// What models of a repository need beside what registered ones do.
#include <fmt/core.h>

#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "lifecycle/configure.h"
#include "lifecycle/manager.h"

namespace mlos::lifecycle {

using catalog::ModelVersion;
using catalog::PluginVersion;
using catalog::State;

void Manager::HoldReadiness(std::string why) {
  readiness_held_ = std::move(why);
  Publish();
}

void Manager::SetAbsent(std::set<std::string> names) {
  absent_ = std::move(names);
  Publish();
}

void Manager::NeedPlugin(std::string_view name) {
  if (catalog_.ActivePlugin(name) != nullptr || AwaitedVersion(name) != nullptr) return;
  const auto it = catalog_.plugins().find(name);
  if (it == catalog_.plugins().end()) return;
  for (auto version = it->second.rbegin(); version != it->second.rend(); ++version) {
    PluginVersion& plugin = *version->second;
    if (plugin.state == State::kDraining || IsInHandover(plugin)) continue;
    return StartPlugin(plugin);
  }
}

void Manager::FailModel(ModelVersion& model) {
  Log(LogLevel::kError, "{} cannot be loaded: {}", Label(model), model.fault);
  Unsettle(model, State::kFailed, model.fault);
}

void Manager::ResetModel(ModelVersion& model) { Unsettle(model, State::kUnloaded, model.fault); }

void Manager::RestoreModel(ModelVersion& model, const ModelVersion& was) {
  Unsettle(model, was.state, was.reason);
  model.may_pass = was.may_pass;
}

void Manager::ReloadModel(ModelVersion& model, const std::shared_ptr<const ModelVersion>& anew,
                          const Done& done) {
  if (Defer(model.plugin, [this, id = model.id, anew, done] {
        ModelVersion* record = catalog_.FindModel(id);
        if (record == nullptr || record->state != State::kReady) {
          return done(Unavailable("the model is loaded no more"));
        }
        ReloadModel(*record, anew, done);
      })) {
    return;
  }
  const auto host = hosts_.find(model.host);
  if (host == hosts_.end()) return done(Unavailable("its plugin's host has ended"));
  if (Status sound = ExamineConfig(*anew); !sound.ok()) return done(sound);
  std::vector<size_t> changed;
  StatusOr<std::vector<OwnedFd>> fds = catalog::OpenArtefact(anew->artefact, &changed);
  if (!fds.ok()) return done(fds.status());
  if (!changed.empty()) {
    return done(Unavailable(fmt::format("its file {} has changed since its repository was read",
                                        anew->artefact.files[changed.front()])));
  }
  const Place place{host->first, host->second.next_handle++};
  StatusOr<backend::ModelFiles> files = FilesOf(*anew, place.second, *std::move(fds));
  if (!files.ok()) return done(files.status());
  Log(LogLevel::kInfo, "{} has changed in its repository: loading it anew", Label(model));
  ++reloads_[model.plugin];
  host->second.host->LoadModel(*std::move(files), [this, id = model.id, plugin = model.plugin,
                                                   place, anew, done](StatusOr<ModelInfo> info) {
    OnReloaded(id, place, *anew, std::move(info), done);
    const auto reloads = reloads_.find(plugin);
    if (reloads != reloads_.end() && --reloads->second == 0) reloads_.erase(reloads);
    MoveNext(plugin);  // a handover that has begun meanwhile waits for it
  });
}

void Manager::OnReloaded(uint64_t id, Place place, const ModelVersion& anew,
                         StatusOr<ModelInfo> info, const Done& done) {
  ModelVersion* model = catalog_.FindModel(id);
  const auto host = hosts_.find(place.first);
  auto settings = info.ok() ? Configure(anew, *info) : info.status();
  if (settings.ok() &&
      (model == nullptr || model->state != State::kReady || model->host != place.first)) {
    settings = Unavailable("the model or its plugin was changed meanwhile: try again");
  }
  if (!settings.ok()) {
    if (info.ok() && host != hosts_.end()) {
      host->second.host->UnloadModel(place.second, [](const Status&) {});
    }
    return done(settings.status());
  }
  // Requests that hold the old place are answered there; then it goes.
  const Place old{model->host, model->handle};
  WhenUnused(old, [this, old, plugin = model->plugin] {
    const auto left = hosts_.find(old.first);
    if (left == hosts_.end()) return;
    left->second.host->UnloadModel(old.second,
                                   [this, plugin](const Status&) { RenewIfBloated(plugin); });
  });
  model->artefact = anew.artefact;
  model->config = anew.config;
  model->labels = anew.labels;
  model->repository = anew.repository;
  model->path = anew.path;
  model->fingerprint = anew.fingerprint;
  model->refused_fingerprint.clear();
  Settle(*model, place, std::make_shared<const ModelInfo>(*std::move(info)), *std::move(settings));
  Log(LogLevel::kInfo, "{} serves as it is now in its repository", Label(*model));
  done(OkStatus());
}

}  // namespace mlos::lifecycle
