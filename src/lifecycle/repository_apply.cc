// SPDX-License-Identifier: Apache-2.0
//
// What was found in a repository becomes what the catalog holds and the hosts run.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "lifecycle/repositories.h"
#include "lifecycle/repository_change.h"

namespace mlos::lifecycle {

using catalog::Desired;
using catalog::ModelVersion;
using catalog::State;
using repository::FoundModel;
using repository::FoundVersion;
using Mode = RepositoryOptions::Mode;

namespace {

// What fails again and again is tried after 1, 2, 4, … readings, at most 64.
constexpr uint32_t kMaxDoublings = 6;

Status IsGone() { return Unavailable("the model is in its repository no more"); }

ModelVersion RecordOf(const FoundModel& found, const FoundVersion& version) {
  ModelVersion record;
  record.name = found.name;
  record.version = version.number;
  // Files that came with a load are where nobody but the daemon looks.
  const bool given = version.artefact.keeps != nullptr;
  if (!given) record.path = fmt::format("{}/{}", found.repository, found.name);
  record.artefact = version.artefact;
  record.plugin = version.plugin;
  record.config = found.config;
  record.owner = "repository";
  record.repository = found.repository;
  record.labels = found.labels;
  record.fault = found.fault.empty() ? version.fault : found.fault;
  record.fingerprint = version.fingerprint;
  return record;
}

}  // namespace

void TakeContent(ModelVersion& record, ModelVersion anew) {
  record.repository = std::move(anew.repository);
  record.path = std::move(anew.path);
  record.artefact = std::move(anew.artefact);
  record.plugin = std::move(anew.plugin);
  record.config = std::move(anew.config);
  record.labels = std::move(anew.labels);
  record.fault = std::move(anew.fault);
  record.fingerprint = std::move(anew.fingerprint);
  record.refused_fingerprint.clear();
}

bool Repositories::Clashes(const Found& found) {
  const auto it = catalog_.models().find(found.name);
  if (it == catalog_.models().end() || !it->second.begin()->second->repository.empty()) {
    if (catalog_.Unshadow(found.name)) manager_.Publish();
    return false;
  }
  if (catalog_.shadowed().count(found.name) != 0) return true;
  ModelVersion record;
  record.name = found.name;
  record.path = fmt::format("{}/{}", found.repository, found.name);
  record.owner = "repository";
  record.repository = found.repository;
  record.fault =
      "a model of that name was registered when its repository was read: remove that one, or give "
      "this one another name";
  Log(LogLevel::kError, "model {} of the repository is not served: {}", found.name, record.fault);
  catalog_.Shadow(std::move(record));
  manager_.Publish();
  return true;
}

void Repositories::Apply(const Found& found, bool chosen, const ChangePtr& change) {
  change->then = [this, name = found.name, change = std::weak_ptr<Change>(change)] {
    if (const auto ended = change.lock(); ended != nullptr) EndChange(name, *ended);
  };
  ++under_way_[found.name];
  if (Clashes(found)) {
    return change->End(
        MakeStatus(StatusCode::kAlreadyExists,
                   fmt::format("model {} is registered, and in a repository", found.name)));
  }
  if (found.unread && NoteUnread(found)) return change->End(Unavailable(found.fault));
  const auto wanted = found.Wanted();
  std::set<uint64_t> numbers;
  std::vector<FoundVersion> versions = found.versions;
  if (versions.empty()) {  // none is known: version 0 stands for the model
    versions.emplace_back();
    versions.front().fingerprint = found.fault;
  }
  for (const FoundVersion& version : versions) numbers.insert(version.number);
  if (found.fault.empty() && !(catalog_.Group(found.name).policy == found.policy)) {
    catalog_.HoldPolicy(found.name, found.policy);
    change->changed = true;
  }
  if (const auto known = catalog_.models().find(found.name); known != catalog_.models().end()) {
    for (const auto& [number, record] : known->second) {
      const bool leaving = numbers.count(number) == 0;
      change->changed |= leaving != record->leaving;
      record->leaving = leaving;
    }
  }
  for (const FoundVersion& version : versions) {
    const bool asked = !change->only || *change->only == version.number;
    const bool serves = version.number == 0 ||
                        std::find(wanted.begin(), wanted.end(), version.number) != wanted.end();
    ApplyVersion(found, version, chosen && serves && asked, change);
  }
  change->End(OkStatus());
}

void Repositories::EndChange(const std::string& name, const Change& ended) {
  if (--under_way_[name] == 0) under_way_.erase(name);
  const bool given = ended.before != nullptr;
  if (given) {
    giving_.erase(name);
    manager_.HoldPolicy(name, false);
  }
  if (given && !ended.status.ok()) {
    GoBack(name, *ended.before);
  } else {
    if (given || ended.changed) manager_.ApplyPolicy(name);
    DropLeaving(name);
  }
  if (given) LetGoOfGiven(name);
}

// What serves goes on: that it could not be looked at does not mean that it is
// gone.  False: nothing of it is known yet.
bool Repositories::NoteUnread(const Found& found) {
  const auto known = catalog_.models().find(found.name);
  if (known == catalog_.models().end()) return false;
  if (known->second.rbegin()->first == 0) return false;  // all that is known is that it is there
  for (const auto& [number, record] : known->second) {
    if (record->state != State::kReady || record->reason == found.fault) continue;
    record->reason = found.fault;
    Log(LogLevel::kError, "{}: {}; it serves as it was", Label(*record), record->reason);
    manager_.Publish(record->name);
  }
  return true;
}

void Repositories::ApplyVersion(const Found& found, const FoundVersion& version, bool wanted,
                                const ChangePtr& change) {
  ModelVersion* record = nullptr;
  if (const auto it = catalog_.models().find(found.name); it != catalog_.models().end()) {
    const auto known = it->second.find(version.number);
    if (known != it->second.end()) record = known->second.get();
  }
  if (record == nullptr) {
    change->changed = true;
    const StatusOr<ModelVersion*> held = catalog_.HoldModel(RecordOf(found, version));
    if (!held.ok()) return Log(LogLevel::kError, "{}", Message(held.status()));
    manager_.Publish(found.name);
    if (wanted) Begin(**held, change);
    return;
  }
  if (record->fingerprint != version.fingerprint) {
    return Replace(*record, RecordOf(found, version), wanted, change);
  }
  if (record->state == State::kReady &&
      !(record->reason.empty() && record->refused_fingerprint.empty())) {
    // It is again, or is found to be, what serves.
    record->refused_fingerprint.clear();
    record->reason.clear();
    retries_.erase(record->id);
    manager_.Publish(record->name);
  }
  if (!wanted) return;
  switch (record->state) {
    case State::kReady:
      return;
    case State::kDraining:
      return LoadWhenGone(*record, change);
    case State::kFailed: {
      // Whoever asks for a model that failed wants it tried again.
      const bool again = change->asked || (options_.mode == Mode::kPoll && record->fault.empty() &&
                                           record->may_pass && IsDue(record->id));
      return again ? Begin(*record, change) : void();
    }
    default:  // one that is on its way is waited for
      return Begin(*record, change);
  }
}

// The version is not what it was.
void Repositories::Replace(ModelVersion& record, ModelVersion anew, bool wanted,
                           const ChangePtr& change) {
  const bool leaves = record.state == State::kDraining;
  if (record.state == State::kLoading || (leaves && !wanted)) {
    ++change->left;  // the next time that the repository is read it has settled
    return change->End(record.version,
                       Unavailable(Label(record) + " is being loaded or unloaded: try again"));
  }
  if (record.state != State::kReady && !leaves) {
    change->changed = true;
    retries_.erase(record.id);
    TakeContent(record, std::move(anew));
    manager_.ResetModel(record);
    if (wanted) Begin(record, change);
    return;
  }
  if (!wanted) return;
  if (!leaves && (record.plugin == anew.plugin || !anew.fault.empty())) {
    return LoadBeside(record, std::move(anew), change);
  }
  if (!leaves && change->before != nullptr) {
    ++change->left;
    return change->End(record.version,
                       FailedPrecondition(fmt::format(
                           "{} serves from plugin {}, and what was given is for plugin {}: unload "
                           "it before",
                           Label(record), record.plugin, anew.plugin)));
  }
  // It is on its way out, or has to leave because another plugin is to run it.
  ++change->left;
  change->changed = true;
  manager_.UnloadModel(
      record.name, std::to_string(record.version),
      [this, id = record.id, number = record.version,
       next = std::make_shared<ModelVersion>(std::move(anew)), change](const Status& status) {
        ModelVersion* gone = catalog_.FindModel(id);
        if (status.ok() && gone != nullptr) {
          // Somebody else who waited may have begun to load it, as it was or as it is.
          const bool same = gone->fingerprint == next->fingerprint;
          same ? Begin(*gone, change) : Replace(*gone, std::move(*next), true, change);
        }
        change->End(number, gone != nullptr ? status : IsGone());
      });
}

// Loads what a version that serves is now.  Where that fails it serves as it was.
void Repositories::LoadBeside(ModelVersion& record, ModelVersion anew, const ChangePtr& change) {
  const uint64_t id = record.id;
  if (record.refused_fingerprint != anew.fingerprint) {
    if (!record.refused_fingerprint.empty()) retries_.erase(id);
  } else if (!change->asked) {
    ++change->left;
    return change->End(record.version, Unavailable(record.reason));
  }
  const auto running = reloading_.find(id);
  if (running != reloading_.end()) {
    if (running->second.fingerprint == anew.fingerprint) {
      ++change->left;
      running->second.waiting.push_back(change);
      return;
    }
    ++change->left;
    return change->End(record.version,
                       Unavailable(Label(record) + " is being loaded anew: try again"));
  }
  if (!change->asked && !IsDue(id)) {
    ++change->left;
    return change->End(record.version, Unavailable(record.reason));
  }
  ++change->left;
  change->changed = true;
  Reload& reload = reloading_[id];
  reload.fingerprint = anew.fingerprint;
  reload.given = change->before != nullptr;
  reload.waiting.push_back(change);
  if (!anew.fault.empty()) return Reloaded(id, FailedPrecondition(anew.fault));
  manager_.ReloadModel(record, std::make_shared<const ModelVersion>(std::move(anew)),
                       [this, id](const Status& status) { Reloaded(id, status); });
}

void Repositories::Reloaded(uint64_t id, const Status& status) {
  const auto it = reloading_.find(id);
  if (it == reloading_.end()) return;
  const Reload reload = std::move(it->second);
  reloading_.erase(it);
  NoteEnd(id, status);
  ModelVersion* kept = catalog_.FindModel(id);
  Status answer = status;
  if (!status.ok() && reload.given) {
    answer =
        Unavailable(fmt::format("what was given with the load is not served: {}; what served "
                                "before does",
                                Message(status)));
  } else if (!status.ok() && kept != nullptr) {
    // What may be better another time is tried again as it is.
    if (status.code() != StatusCode::kUnavailable) kept->refused_fingerprint = reload.fingerprint;
    const std::string reason =
        fmt::format("what it is now in its repository is not served: {}", Message(status));
    answer = Unavailable(reason);
    if (kept->state == State::kReady && kept->reason != reason) {
      kept->reason = reason;
      Log(LogLevel::kError, "{}: {}; it serves as it was", Label(*kept), reason);
      manager_.Publish(kept->name);
    }
  }
  const uint64_t number = kept != nullptr ? kept->version : 0;
  for (const ChangePtr& change : reload.waiting) change->End(number, answer);
}

// One that is on its way out, and is wanted again.
void Repositories::LoadWhenGone(ModelVersion& record, const ChangePtr& change) {
  ++change->left;
  manager_.UnloadModel(
      record.name, std::to_string(record.version),
      [this, id = record.id, number = record.version, change](const Status& status) {
        ModelVersion* gone = catalog_.FindModel(id);
        if (status.ok() && gone != nullptr) Begin(*gone, change);
        change->End(number, gone != nullptr ? status : IsGone());
      });
}

void Repositories::Begin(ModelVersion& record, const ChangePtr& change) {
  ++change->left;
  change->changed = true;
  const uint64_t number = record.version;
  const Desired before = record.desired;
  // What somebody asked for and failed was no change of what is wanted.
  const bool takes_back = change->asked && before != Desired::kLoaded;
  const Status kept = catalog_.SetDesired(record, Desired::kLoaded);
  if (!kept.ok()) return change->End(number, kept);
  if (!record.fault.empty()) {
    manager_.FailModel(record);
    if (takes_back) manager_.TakeBack(record.id, record.unloads, before);
    return change->End(number, Unavailable(Label(record) + ": " + record.fault));
  }
  if (record.state == State::kUnloaded) {  // from here on it is one that should be loaded
    record.state = State::kRegistered;
    record.reason.clear();
    manager_.Publish(record.name);
  }
  manager_.NeedPlugin(record.plugin);
  manager_.LoadModel(record.name, std::to_string(number),
                     [this, id = record.id, unloads = record.unloads, before, takes_back, number,
                      change](const Status& status) {
                       NoteEnd(id, status);
                       if (!status.ok() && takes_back) manager_.TakeBack(id, unloads, before);
                       change->End(number, status);
                     });
}

// Whether what failed may be tried again by this reading of the repositories.
bool Repositories::IsDue(uint64_t id) {
  const auto it = retries_.find(id);
  if (it == retries_.end() || it->second.scans_left == 0) return true;
  --it->second.scans_left;
  return false;
}

void Repositories::NoteEnd(uint64_t id, const Status& status) {
  if (status.ok() || catalog_.FindModel(id) == nullptr) {
    retries_.erase(id);
    return;
  }
  Retry& retry = retries_[id];
  retry.scans_left = (1U << std::min(retry.failures++, kMaxDoublings)) - 1;
}

// Versions that the repository has no more.  Where others are to take their place
// and none of those serves, they stay until one does.
void Repositories::DropLeaving(const std::string& name) {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return;
  std::vector<ModelVersion*> missing;
  bool wanted = false;
  bool serves = false;
  for (const auto& [number, record] : it->second) {
    if (record->leaving && !record->repository.empty()) {
      missing.push_back(record.get());
    } else {
      wanted |= record->desired == Desired::kLoaded;
      serves |= record->state == State::kReady;
    }
  }
  if (wanted && !serves) {
    const auto stays = [](const ModelVersion* record) { return record->state == State::kReady; };
    missing.erase(std::remove_if(missing.begin(), missing.end(), stays), missing.end());
  }
  for (ModelVersion* record : missing) Drop(*record);
}

void Repositories::Drop(ModelVersion& record) {
  const std::string name = record.name;
  if (record.state == State::kLoading) {  // one more who waits for its end
    return manager_.LoadModel(name, std::to_string(record.version),
                              [this, id = record.id](const Status&) {
                                ModelVersion* loaded = catalog_.FindModel(id);
                                if (loaded != nullptr && loaded->leaving) Drop(*loaded);
                              });
  }
  if (record.state != State::kReady && record.state != State::kDraining) {
    retries_.erase(record.id);
    catalog_.ForgetModel(record);
    return manager_.Publish(name);
  }
  Log(LogLevel::kInfo, "{} is in its repository no more", Label(record));
  manager_.UnloadModel(name, std::to_string(record.version),
                       [this, name, id = record.id](const Status& status) {
                         ModelVersion* gone = catalog_.FindModel(id);
                         if (!status.ok() || gone == nullptr || !gone->leaving) return;
                         retries_.erase(id);
                         catalog_.ForgetModel(*gone);
                         manager_.Publish(name);
                       });
}

}  // namespace mlos::lifecycle
