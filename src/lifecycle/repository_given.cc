// SPDX-License-Identifier: Apache-2.0
//
// Loads that bring along what they load.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "base/name.h"
#include "lifecycle/repositories.h"
#include "lifecycle/repository_change.h"

namespace mlos::lifecycle {

using catalog::ModelVersion;
using catalog::State;
using repository::FoundModel;
using repository::Given;
using Mode = RepositoryOptions::Mode;

struct Repositories::Before {
  catalog::VersionPolicy policy;
  std::map<uint64_t, bool> known;       // by registration: whether it was leaving
  std::vector<ModelVersion> unsettled;  // those that did not serve
};

Status Repositories::MayGive(const std::string& name) const {
  MLOS_RETURN_IF_ERROR(ValidateName("model name", name));
  const auto known = catalog_.models().find(name);
  if (known != catalog_.models().end() && !catalog_.IsHeld(name)) {
    return FailedPrecondition(fmt::format(
        "model {} is registered, and is loaded as it was registered: only a model of a repository "
        "takes a configuration or files with a load; register another version of it",
        name));
  }
  if (!options_.directories.empty() && options_.mode == Mode::kExplicit) return OkStatus();
  return Unavailable(
      "a load takes a configuration or files only where models of a repository are loaded on "
      "demand (mlosd --model-repository DIR --model-control-mode explicit)");
}

// A load that can be undone is the only change of its model: what is undone is its own.
Status Repositories::IsFree(const std::string& name) const {
  if (under_way_.count(name) == 0) return OkStatus();
  return Unavailable(
      fmt::format("model {} is being loaded, and this load or that one brings a configuration or "
                  "files along: try again when that one has ended",
                  name));
}

void Repositories::LoadGiven(const std::string& name, const std::shared_ptr<const Given>& given,
                             const Done& done) {
  if (const Status may = MayGive(name); !may.ok()) return done(may);
  if (const Status free = IsFree(name); !free.ok()) return done(free);
  const StatusOr<repository::GivenStore::Room> room = given_.Reserve(*given);
  if (!room.ok()) return done(room.status());
  background_.Do(
      Urgency::kNow,
      [this, name, given, counted = *room, done, claims = Claims(),
       directories = options_.directories](const std::atomic<bool>&) -> Background::Result {
        const auto found = std::make_shared<const StatusOr<FoundModel>>(
            repository::FindGiven(name, *given, directories, claims, given_, counted));
        return [this, found, done] {
          if (!found->ok()) return done(found->status());
          ApplyGiven(**found, done);
        };
      },
      done);
}

void Repositories::ApplyGiven(const Found& found, const Done& done) {
  if (stopped_) return done(Unavailable("the server is shutting down"));
  // It may have been registered meanwhile.
  if (const Status may = MayGive(found.name); !may.ok()) return done(may);
  if (const Status free = IsFree(found.name); !free.ok()) return done(free);
  Choose(found.name);
  giving_.insert(found.name);
  manager_.HoldPolicy(found.name, true);  // until it is known whether all of it serves
  const auto change = std::make_shared<Change>();
  change->done = done;
  change->asked = true;
  change->before = Remember(found.name);
  Apply(found, true, change);
}

std::shared_ptr<const Repositories::Before> Repositories::Remember(const std::string& name) const {
  auto before = std::make_shared<Before>();
  before->policy = catalog_.Group(name).policy;
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return before;
  for (const auto& [number, record] : it->second) {
    before->known[record->id] = record->leaving;
    if (record->state != State::kReady) before->unsettled.push_back(*record);
  }
  return before;
}

// Versions that it brought go, and those that it would have replaced stay.
void Repositories::GoBack(const std::string& name, const Before& before) {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return;
  const Manager::PublishOnce all_of_it(manager_);
  std::vector<ModelVersion*> brought;
  for (const auto& [number, record] : it->second) {
    const auto known = before.known.find(record->id);
    record->leaving = known == before.known.end() || known->second;
    if (known == before.known.end() && !record->repository.empty()) brought.push_back(record.get());
  }
  for (const ModelVersion& was : before.unsettled) {
    ModelVersion* record = catalog_.FindModel(was.id);
    if (record == nullptr || catalog::IsLoaded(record->state)) continue;
    if (record->fingerprint != was.fingerprint) TakeContent(*record, was);
    // Somebody may have unloaded it meanwhile: that holds.  (One that was on its way out was
    // unloaded by the load itself.)
    if (was.state != State::kDraining && record->unloads != was.unloads) {
      manager_.ResetModel(*record);
      continue;
    }
    const Status kept = catalog_.SetDesired(*record, was.desired);
    if (!kept.ok()) Log(LogLevel::kWarning, "{}", Message(kept));
    const bool rests = was.state == State::kFailed || was.state == State::kRegistered;
    rests ? manager_.RestoreModel(*record, was) : manager_.ResetModel(*record);
  }
  if (!before.known.empty()) catalog_.HoldPolicy(name, before.policy);
  manager_.ApplyPolicy(name);
  for (ModelVersion* record : brought) Drop(*record);
  DropLeaving(name);
}

// Also where they are to be loaded, and their plugin's host is to come back.
bool Repositories::NeedsGivenFiles(const std::string& name) const {
  const auto it = catalog_.models().find(name);
  return it != catalog_.models().end() &&
         std::any_of(it->second.begin(), it->second.end(), [](const auto& version) {
           const ModelVersion& record = *version.second;
           const bool waits =
               record.state == State::kFailed && record.desired == catalog::Desired::kLoaded;
           return record.artefact.keeps != nullptr && (waits || catalog::IsLoaded(record.state));
         });
}

// It is unloaded: files that were given are used no more, and what a load would
// load is what its repository has.  While a load brings others along, at its end.
void Repositories::LetGoOfGiven(const std::string& name) {
  if (giving_.count(name) != 0) return;
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end() || NeedsGivenFiles(name)) return;
  bool held = false;
  for (const auto& [number, record] : it->second) {
    held |= record->artefact.keeps != nullptr;
    if (record->artefact.keeps == nullptr) continue;
    record->artefact.keeps.reset();
    record->fingerprint.clear();  // nothing is the same as what is gone
  }
  if (!held || stopped_) return;
  chosen_.erase(name);
  background_.Do(
      Urgency::kNow,
      [this, name, claims = Claims(),
       directories = options_.directories](const std::atomic<bool>&) -> Background::Result {
        const auto found = std::make_shared<const StatusOr<FoundModel>>(
            repository::FindModel(directories, name, claims));
        return [this, name, found] {
          // Without one in a repository it stays as one that is unloaded.
          if (!found->ok() || stopped_) return;
          if (chosen_.count(name) != 0 || under_way_.count(name) != 0) return;
          const auto change = std::make_shared<Change>();
          change->done = [](const Status&) {};
          Apply(**found, false, change);
        };
      },
      [name](const Status& status) {
        Log(LogLevel::kWarning, "model {} is shown as it was given until its next load: {}", name,
            Message(status));
      });
}

}  // namespace mlos::lifecycle
