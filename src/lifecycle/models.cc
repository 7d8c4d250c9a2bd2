// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/core.h>

#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "lifecycle/configure.h"
#include "lifecycle/manager.h"
#include "lifecycle/warm_up.h"
#include "modelconfig/json.h"

namespace mlos::lifecycle {

using catalog::Change;
using catalog::Desired;
using catalog::FileIdentity;
using catalog::ModelVersion;
using catalog::PluginVersion;
using catalog::State;
using catalog::Verdict;

namespace {

// Checksums come in a row when many models are registered; one commit keeps them.
constexpr auto kSaveDelay = std::chrono::milliseconds(250);

// Duplicates of those that `which` names.
std::vector<OwnedFd> Some(const std::vector<OwnedFd>& fds, const std::vector<size_t>& which) {
  std::vector<OwnedFd> out;
  out.reserve(which.size());
  for (const size_t i : which) out.emplace_back(fcntl(fds[i].get(), F_DUPFD_CLOEXEC, 0));
  return out;
}

Status Changed(const std::string& file) {
  return FailedPrecondition(fmt::format(
      "its file {} has changed since it was registered: register it as another version, or remove "
      "this one and register it again",
      file));
}

// What a load says to who asked for it: that the files are not what was
// registered, which is for them to mend, or that it failed.
Status LoadError(const Status& status) {
  switch (status.code()) {
    case StatusCode::kNotFound:
    case StatusCode::kInvalidArgument:
    case StatusCode::kPermissionDenied:
    case StatusCode::kFailedPrecondition:
      return FailedPrecondition(Message(status));
    default:
      return Unavailable(Message(status));
  }
}

// Whether the same load may succeed another time.
bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kResourceExhausted;
}

std::vector<FileIdentity> Identify(const std::vector<OwnedFd>& fds) {
  std::vector<FileIdentity> out;
  for (const OwnedFd& fd : fds) {
    struct stat st {};
    fstat(fd.get(), &st);
    out.push_back(catalog::IdentityOf(st));
  }
  return out;
}

// What the files are that were registered, with their checksums.
StatusOr<std::vector<FileIdentity>> HashArtefact(const catalog::Artefact& artefact,
                                                 const std::atomic<bool>& stop) {
  std::vector<size_t> changed;
  MLOS_ASSIGN_OR_RETURN(const auto fds, catalog::OpenArtefact(artefact, &changed));
  std::vector<FileIdentity> out = Identify(fds);
  for (size_t i = 0; i < fds.size(); ++i) {
    MLOS_ASSIGN_OR_RETURN(out[i].sha256, catalog::Sha256Of(fds[i].get(), stop));
  }
  const std::vector<FileIdentity> after = Identify(fds);
  for (size_t i = 0; i < fds.size(); ++i) {
    // Written to meanwhile: who knows what was read.
    if (!out[i].SameStat(after[i])) changed.push_back(i);
  }
  if (!changed.empty()) return Changed(artefact.files[changed.front()]);
  return out;
}

}  // namespace

// Opened only when its turn comes: thousands may be waiting.
void Manager::HashLater(const ModelVersion& model) {
  const auto& known = model.artefact.identities;
  const bool all = std::none_of(known.begin(), known.end(),
                                [](const FileIdentity& f) { return f.sha256.empty(); });
  if (all) return;
  background_.Do(Urgency::kWhenIdle,
                 [this, id = model.id,
                  artefact = model.artefact](const std::atomic<bool>& stop) -> Background::Result {
                   const auto sums = HashArtefact(artefact, stop);
                   if (!sums.ok()) return [] {};  // a load will say so
                   return [this, id, sums] {
                     ModelVersion* record = catalog_.FindModel(id);
                     if (record == nullptr) return;
                     catalog_.NoteChecksums(*record, *sums);
                     SaveChecksumsSoon();
                   };
                 });
}

void Manager::SaveChecksumsSoon() {
  if (std::exchange(saving_soon_, true)) return;
  save_timer_.expires_after(kSaveDelay);
  save_timer_.async_wait([this](const boost::system::error_code& error) {
    saving_soon_ = false;
    if (error) return;
    const Status kept = catalog_.SaveChecksums();
    if (!kept.ok()) Log(LogLevel::kWarning, "{}", Message(kept));
  });
}

// True: the change waits until the plugin's models have changed hosts.
bool Manager::Defer(std::string_view plugin, std::function<void()> change) {
  Handover* handover = HandoverOf(plugin);
  if (handover == nullptr || handover->switched) return false;
  handover->deferred.push_back(std::move(change));
  return true;
}

// --------------------------------------------------------------------- loading

void Manager::LoadModel(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok()) return done(found.status());
  ModelVersion& model = **found;
  if (Defer(model.plugin, [this, n = std::string(name), v = std::string(version), done] {
        LoadModel(n, v, done);
      })) {
    return;
  }
  const catalog::Answer answer = ModelAnswer(Change::kLoad, model.state);
  if (answer.verdict == Verdict::kRefuse) return done(Refusal(answer, Label(model)));
  // Kept when it is true: a load that fails, or that the daemon does not live to
  // see the end of, is no change of what is wanted.
  Load(model, [this, id = model.id, done = std::move(done)](const Status& status) {
    done(status.ok() ? KeepLoaded(id) : status);
  });
}

bool Manager::IsPromised(const catalog::ModelVersion& model) const {
  const auto promise = promised_.find(model.id);
  return promise != promised_.end() && promise->second == model.unloads &&
         model.desired == Desired::kLoaded;
}

void Manager::PromiseModel(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok() || !IsPromised(**found))
    return PromiseAndLoadModel(name, version, std::move(done));
  // Not from inside this call: it is under way, not done.
  control_.Post([done = std::move(done)] { done(OkStatus()); });
}

void Manager::PromiseAndLoadModel(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok()) return done(found.status());
  if (IsPromised(**found)) return LoadModel(name, version, std::move(done));
  const uint64_t id = (*found)->id;
  const uint64_t unloads = (*found)->unloads;
  const Desired before = (*found)->desired;
  const auto ended = std::make_shared<bool>(false);
  LoadModel(name, version, [=, this](const Status& status) {
    const auto mine = promised_.find(id);
    if (mine != promised_.end() && mine->second == unloads) promised_.erase(mine);
    if (!status.ok()) TakeBack(id, unloads, before);
    if (!std::exchange(*ended, true)) done(status);
  });
  if (*ended) return;
  promised_[id] = unloads;
  const Status kept = catalog_.SetDesired(**found, Desired::kLoaded);
  if (kept.ok()) return;
  *ended = true;  // what has begun goes on, and nobody counts on it
  done(kept);
}

// A load that failed was no change of what is wanted, but for what was wanted
// meanwhile.  One that the daemon's end cuts short has not failed: the next
// daemon goes on with it.
void Manager::TakeBack(uint64_t id, uint64_t unloads, Desired before) {
  if (stopping_) return;
  ModelVersion* model = catalog_.FindModel(id);
  if (model == nullptr || model->unloads != unloads || model->desired != Desired::kLoaded) return;
  const Status kept = catalog_.SetDesired(*model, before);
  if (!kept.ok()) Log(LogLevel::kWarning, "{}: {}", Label(*model), Message(kept));
  Publish(model->name);
}

Status Manager::KeepLoaded(uint64_t id) {
  ModelVersion* model = catalog_.FindModel(id);
  if (model == nullptr) return Unavailable("the model was removed");
  Status kept = catalog_.SetDesired(*model, Desired::kLoaded);
  if (!kept.ok()) Log(LogLevel::kWarning, "{}: {}", Label(*model), Message(kept));
  if (!kept.ok() && model->desired == Desired::kUnloaded && model->state == State::kReady) {
    DrainModel(*model, std::string(Message(kept)));
  }
  return kept;
}

void Manager::Load(ModelVersion& model, Done done, Competing competing) {
  const catalog::Answer answer = ModelAnswer(Change::kLoad, model.state);
  if (answer.verdict == Verdict::kRefuse) return done(Refusal(answer, Label(model)));
  if (answer.verdict == Verdict::kAlready) return done(OkStatus());
  if (answer.verdict == Verdict::kJoin) {
    waiters_[&model].push_back(std::move(done));
    return;
  }
  if (!model.fault.empty()) return done(Unavailable(model.fault));
  if (Status admitted = catalog_.CheckPolicy(model, competing); !admitted.ok()) {
    return done(admitted);
  }
  if (WaitForPlugin(model, done, competing)) return;
  PluginVersion* plugin = catalog_.ActivePlugin(model.plugin);
  const auto host = plugin != nullptr ? hosts_.find(plugin->host) : hosts_.end();
  if (host == hosts_.end()) {
    if (const PluginVersion* failed = FailedVersion(model.plugin); failed != nullptr) {
      return done(Unavailable(fmt::format("{} needs {}, which failed: {}", Label(model),
                                          Label(*failed), failed->reason)));
    }
    return done(FailedPrecondition(
        fmt::format("{} needs plugin {}, of which no version is loaded: load one first",
                    Label(model), model.plugin)));
  }
  waiters_[&model].push_back(std::move(done));
  model.plugin_version = plugin->manifest.version;
  StartLoad(model, host->first);
}

// True: the version of the model's plugin that is to have it is on its way; the
// load goes on when it is there, or is known not to come.
bool Manager::WaitForPlugin(const ModelVersion& model, const Done& done, Competing competing) {
  const PluginVersion* plugin = AwaitedVersion(model.plugin);
  if (plugin == nullptr) return false;
  waiters_[plugin].push_back([this, id = model.id, unloads = model.unloads, done,
                              competing](const Status& status) {
    ModelVersion* waiting = catalog_.FindModel(id);
    if (waiting == nullptr) return done(Unavailable("the model was removed"));
    if (waiting->unloads != unloads) {
      return done(FailedPrecondition(Label(*waiting) + " was unloaded while it waited to load"));
    }
    const bool other = AwaitedVersion(waiting->plugin) != nullptr ||
                       catalog_.ActivePlugin(waiting->plugin) != nullptr;
    if (status.ok() || other) return Load(*waiting, done, competing);
    done(Unavailable(Message(status)));
  });
  return true;
}

void Manager::StartLoad(ModelVersion& model, uint64_t number) {
  model.state = State::kLoading;
  model.reason.clear();
  model.host = number;
  model.handle = hosts_.at(number).next_handle++;
  Publish(model.name);
  const Status sound = ExamineConfig(model);
  if (!sound.ok()) return OnModelLoaded(model.id, Unavailable(Message(sound)));
  if (model.repository.empty() && NamesLabels(model)) return LoadLabels(model);
  OpenFiles(model);
}

// Of a registered model they are read when it is loaded; a repository's come with it.
void Manager::LoadLabels(const ModelVersion& model) {
  const auto current = [this, id = model.id, host = model.host, handle = model.handle] {
    ModelVersion* record = catalog_.FindModel(id);
    const bool same = record != nullptr && record->state == State::kLoading &&
                      record->host == host && record->handle == handle;
    return same ? record : nullptr;
  };
  const auto failed = [this, current](const Status& status) {
    const ModelVersion* record = current();
    if (record != nullptr) OnModelLoaded(record->id, Unavailable(Message(status)));
  };
  background_.Do(
      Urgency::kNow,
      [this, current, failed, copy = std::make_shared<ModelVersion>(model)](
          const std::atomic<bool>&) -> Background::Result {
        const Status status = TakeLabels(copy.get());
        return [this, current, failed, copy, status] {
          if (!status.ok()) return failed(status);
          ModelVersion* record = current();
          if (record == nullptr) return;
          record->labels = copy->labels;
          OpenFiles(*record);
        };
      },
      failed);
}

void Manager::OpenFiles(ModelVersion& model) {
  std::vector<size_t> changed;
  StatusOr<std::vector<OwnedFd>> fds = catalog::OpenArtefact(model.artefact, &changed);
  if (!fds.ok()) {
    const Status status = LoadError(fds.status());
    OnModelLoaded(model.id, status, status.code() == StatusCode::kUnavailable);
  } else if (changed.empty()) {
    SendLoad(model, *std::move(fds));
  } else {
    CheckFiles(model, *std::move(fds), changed);
  }
}

// Of files that look changed: whether they are is for their checksums to say.
void Manager::CheckFiles(ModelVersion& model, std::vector<OwnedFd> fds,
                         const std::vector<size_t>& changed) {
  for (const size_t i : changed) {
    if (!model.repository.empty()) {
      OnModelLoaded(model.id, Unavailable(fmt::format("its file {} has changed since its "
                                                      "repository was read",
                                                      model.artefact.files[i])));
      return;
    }
    if (!model.artefact.identities[i].sha256.empty()) continue;
    OnModelLoaded(model.id, Changed(model.artefact.files[i]));
    return;
  }
  const auto kept = std::make_shared<std::vector<OwnedFd>>(std::move(fds));
  // As they are before they are read: what is written later has another time.
  const std::vector<FileIdentity> found = Identify(*kept);
  background_.Checksum(Some(*kept, changed), Urgency::kNow,
                       [this, id = model.id, kept, changed, found](const Background::Sums& sums) {
                         ModelVersion* record = catalog_.FindModel(id);
                         if (record == nullptr || record->state != State::kLoading) return;
                         if (!sums.ok())
                           return OnModelLoaded(id, Unavailable(Message(sums.status())));
                         std::vector<FileIdentity> now = record->artefact.identities;
                         for (size_t i = 0; i < changed.size(); ++i) {
                           const size_t file = changed[i];
                           if ((*sums)[i] != now[file].sha256) {
                             return OnModelLoaded(id, Changed(record->artefact.files[file]));
                           }
                           now[file] = found[file];
                           now[file].sha256 = (*sums)[i];
                         }
                         const Status stored = catalog_.SetChecksums(*record, now);
                         if (!stored.ok()) Log(LogLevel::kWarning, "{}", Message(stored));
                         SendLoad(*record, std::move(*kept));
                       });
}

StatusOr<backend::ModelFiles> Manager::FilesOf(const ModelVersion& model, uint32_t handle,
                                               std::vector<OwnedFd> fds) {
  backend::ModelFiles files;
  files.load.handle = handle;
  files.load.name = model.name;
  files.load.version = std::to_string(model.version);
  // As the plugin knows it, however whoever registered it wrote it.
  MLOS_ASSIGN_OR_RETURN(const inference::ModelConfig config, modelconfig::FromJson(*model.config));
  files.load.config =
      boost::json::serialize(modelconfig::ToJson(config, modelconfig::Form::kGiven));
  files.load.main_file = model.artefact.main_file;
  files.load.files = model.artefact.files;
  files.fds = std::move(fds);
  MLOS_RETURN_IF_ERROR(AddSamples(model, &files));
  if (hostlink::EncodeLoadModel(files.load, {}).payload.size() > hostlink::kMaxPayload) {
    return FailedPrecondition(fmt::format(
        "its configuration and warm-up samples have more than {} bytes", hostlink::kMaxPayload));
  }
  return files;
}

void Manager::SendLoad(ModelVersion& model, std::vector<OwnedFd> fds) {
  const auto running = hosts_.find(model.host);
  if (running == hosts_.end()) {
    OnModelLoaded(model.id, Unavailable("its plugin's host has ended"), true);
    return;
  }
  StatusOr<backend::ModelFiles> files = FilesOf(model, model.handle, std::move(fds));
  if (!files.ok()) return OnModelLoaded(model.id, Unavailable(Message(files.status())));
  running->second.host->LoadModel(*std::move(files),
                                  [this, id = model.id](StatusOr<ModelInfo> info) {
                                    const bool may_pass = MayPass(info.status());
                                    // Whatever a plugin calls it, to who asked for the load it is
                                    // one that failed.
                                    if (!info.ok()) info = Unavailable(Message(info.status()));
                                    OnModelLoaded(id, std::move(info), may_pass);
                                  });
}

void Manager::OnModelLoaded(uint64_t id, StatusOr<ModelInfo> info, bool may_pass) {
  ModelVersion* model = catalog_.FindModel(id);
  if (model == nullptr || model->state != State::kLoading) return;
  const std::string plugin = model->plugin;
  const std::string name = model->name;
  StatusOr<std::shared_ptr<const ModelSettings>> settings =
      info.ok() ? Configure(*model, *info) : info.status();
  if (info.ok() && !settings.ok()) {
    // The host has it, and is to have it no more.
    if (const auto host = hosts_.find(model->host); host != hosts_.end()) {
      host->second.host->UnloadModel(model->handle, [](const Status&) {});
    }
  }
  if (settings.ok()) {
    Settle(*model, {model->host, model->handle},
           std::make_shared<const ModelInfo>(*std::move(info)), *std::move(settings));
    Log(LogLevel::kInfo, "{} is ready", Label(*model));
    Finish(model, OkStatus());
    if (catalog_.Group(name).policy.kind != catalog::VersionPolicy::Kind::kAll) ApplyPolicy(name);
  } else {
    // The host begins with the model's name, as the answer does.
    const std::string label = Label(*model) + ": ";
    std::string reason(Message(settings.status()));
    if (reason.starts_with(label)) reason.erase(0, label.size());
    Log(LogLevel::kError, "{} failed to load: {}", Label(*model), reason);
    Unsettle(*model, State::kFailed, reason);
    model->may_pass = may_pass;
    const StatusCode code = info.ok() ? StatusCode::kUnavailable : info.status().code();
    Finish(model, MakeStatus(code, label + reason));
  }
  MoveNext(plugin);
}

void Manager::EnsureLoaded(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok()) return done(found.status());
  ModelVersion& model = **found;
  if (Defer(model.plugin, [this, n = std::string(name), v = std::string(version), done] {
        EnsureLoaded(n, v, done);
      })) {
    return;
  }
  const catalog::Answer answer = ModelAnswer(Change::kInfer, model.state);
  const bool unloaded = model.desired == Desired::kUnloaded && model.state != State::kLoading;
  if (answer.verdict == Verdict::kRefuse || unloaded) {
    const bool refuse = answer.verdict == Verdict::kRefuse;
    return done(
        Unavailable(fmt::format("{} {}{}{}", Label(model), refuse ? answer.text : "is unloaded",
                                model.reason.empty() ? "" : ": ", model.reason)));
  }
  Load(model, std::move(done));
}

// ------------------------------------------------------------------- unloading

void Manager::UnloadModel(std::string_view name, std::string_view version, Done done) {
  const auto found = catalog_.FindModel(name, version);
  if (!found.ok()) return done(found.status());
  ModelVersion& model = **found;
  if (Defer(model.plugin, [this, n = std::string(name), v = std::string(version), done] {
        UnloadModel(n, v, done);
      })) {
    return;
  }
  const catalog::Answer answer = ModelAnswer(Change::kUnload, model.state);
  if (answer.verdict == Verdict::kRefuse) return done(Refusal(answer, Label(model)));
  if (Status kept = catalog_.SetDesired(model, Desired::kUnloaded); !kept.ok()) return done(kept);
  ++model.unloads;
  model.left_out = false;
  if (answer.verdict == Verdict::kAlready) return done(OkStatus());
  if (answer.verdict == Verdict::kJoin) {
    waiters_[&model].push_back(std::move(done));
    return;
  }
  if (model.state != State::kReady) {
    Unsettle(model, State::kUnloaded, "");
    return done(OkStatus());
  }
  waiters_[&model].push_back(std::move(done));
  DrainModel(model, "");
}

// It gets no new requests; when nobody holds it any more, it goes.
void Manager::DrainModel(ModelVersion& model, const std::string& reason) {
  const Place place{model.host, model.handle};
  WhenUnused(place, [this, id = model.id, place] {
    const auto host = hosts_.find(place.first);
    if (host == hosts_.end()) return OnModelUnloaded(id, OkStatus());
    host->second.host->UnloadModel(
        place.second, [this, id](const Status& status) { OnModelUnloaded(id, status); });
  });
  model.state = State::kDraining;
  model.reason = reason;
  leases_.erase(model.id);
  Publish(model.name);
}

void Manager::OnModelUnloaded(uint64_t id, const Status& status) {
  ModelVersion* model = catalog_.FindModel(id);
  if (model == nullptr || model->state != State::kDraining) return;
  if (!status.ok()) Log(LogLevel::kWarning, "{}: {}", Label(*model), Message(status));
  Log(LogLevel::kInfo, "{} is unloaded", Label(*model));
  const std::string plugin = model->plugin;
  const uint64_t number = model->host;
  const std::string reason = model->reason;
  Unsettle(*model, State::kUnloaded, reason);
  Finish(model, OkStatus());
  LeaveOldHost(plugin, number);
  RenewIfBloated(plugin);
}

// What the policy leaves out goes, once something that it admits is there.
void Manager::ApplyPolicy(std::string_view name) {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return;
  if (held_policies_.count(name) != 0) return Publish(name);
  for (const auto& [version, model] : it->second) {
    if (model->state == State::kUnloaded && model->left_out && catalog_.CheckPolicy(*model).ok()) {
      Readmit(*model);
    }
    if (model->state == State::kUnloaded && (model->left_out || model->reason.empty())) {
      const Status admitted = catalog_.CheckPolicy(*model);  // it says so as it is now
      if (!admitted.ok()) model->reason = std::string(Message(admitted));
    }
    const bool awaited = model->desired == Desired::kLoaded && model->repository.empty();
    if (model->state != State::kReady && !awaited) continue;
    const Status admitted = catalog_.CheckPolicy(*model, Competing::kReady);
    if (!admitted.ok()) LeaveOut(*model, admitted);
  }
  Publish(name);
}

void Manager::HoldPolicy(const std::string& name, bool hold) {
  if (hold) {
    held_policies_.insert(name);
  } else {
    held_policies_.erase(name);
  }
}

void Manager::LeaveOut(ModelVersion& model, const Status& why) {
  const Status kept = catalog_.SetDesired(model, Desired::kUnloaded);
  if (!kept.ok()) return Log(LogLevel::kWarning, "{}", Message(kept));
  model.left_out = true;
  if (model.state == State::kReady) {
    DrainModel(model, std::string(Message(why)));
  } else if (!IsLoaded(model.state)) {  // one that is on its way goes when it is there
    model.state = State::kUnloaded;
    model.reason = std::string(Message(why));
  }
}

// What a policy had left out may serve again: its next request loads it.
void Manager::Readmit(ModelVersion& model) {
  const Status kept = catalog_.SetDesired(model, Desired::kOnDemand);
  if (!kept.ok()) return Log(LogLevel::kWarning, "{}", Message(kept));
  model.left_out = false;
  model.state = State::kRegistered;
  model.reason.clear();
}

}  // namespace mlos::lifecycle
