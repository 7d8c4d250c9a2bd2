// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/repositories.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "base/name.h"

namespace mlos::lifecycle {

using catalog::Desired;
using catalog::ModelVersion;
using catalog::State;
using repository::FoundModel;
using repository::FoundVersion;

namespace {

// Models that are looked at before others get their turn on the loop.
constexpr size_t kModelsPerTurn = 32;

using Mode = RepositoryOptions::Mode;

std::string_view ModeName(Mode mode) {
  constexpr std::string_view kNames[] = {"none", "poll", "explicit"};
  return kNames[static_cast<size_t>(mode)];
}

ModelVersion RecordOf(const FoundModel& found, const FoundVersion& version) {
  ModelVersion record;
  record.name = found.name;
  record.version = version.number;
  record.path = fmt::format("{}/{}", found.repository, found.name);
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

// What a scan may have found otherwise goes into the record that there is.
void TakeContent(ModelVersion& record, ModelVersion anew) {
  record.artefact = std::move(anew.artefact);
  record.plugin = std::move(anew.plugin);
  record.config = std::move(anew.config);
  record.labels = std::move(anew.labels);
  record.fault = std::move(anew.fault);
  record.fingerprint = std::move(anew.fingerprint);
  record.refused_fingerprint.clear();
}

// Two repositories with a model of one name: which is meant is not for us to say.
void MergeInto(std::map<std::string, FoundModel>* models, FoundModel found) {
  const auto [it, added] = models->try_emplace(found.name, found);
  if (added) return;
  it->second.fault = fmt::format("it is in two model repositories, {} and {}",
                                 Quoted(it->second.repository, 200), Quoted(found.repository, 200));
}

}  // namespace

// What a change of one model waits for, and what comes then.
struct Repositories::Change {
  std::function<void()> then;
  Done done;
  size_t left = 1;  // the one who begins it counts too
  Status status;

  void End(const Status& ended) {
    if (status.ok()) status = ended;
    if (--left > 0) return;
    then();
    done(status);
  }
};

Repositories::Repositories(EventLoop& control, catalog::Catalog& catalog, Manager& manager,
                           RepositoryOptions options)
    : control_(control),
      catalog_(catalog),
      manager_(manager),
      options_(std::move(options)),
      timer_(control.io()),
      background_(control) {}

Status Repositories::Start() {
  if (options_.directories.empty()) return OkStatus();
  for (const std::string& directory : options_.directories) {
    const OwnedFd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (root) continue;
    const Status why = ErrnoStatus(fmt::format("--model-repository {}", Quoted(directory, 200)));
    return FailedPrecondition(Message(why));
  }
  if (options_.mode == Mode::kExplicit) chosen_.insert(options_.load.begin(), options_.load.end());
  manager_.HoldReadiness(true);
  Scan();
  return OkStatus();
}

// -------------------------------------------------------------------- reading

std::vector<repository::Claim> Repositories::Claims() const {
  std::vector<repository::Claim> out;
  out.reserve(catalog_.plugins().size());
  for (const auto& [name, versions] : catalog_.plugins()) {
    std::set<std::string> formats;
    for (const auto& [number, plugin] : versions) {
      formats.insert(plugin->manifest.formats.begin(), plugin->manifest.formats.end());
    }
    out.push_back({name, {formats.begin(), formats.end()}});
  }
  return out;
}

void Repositories::Scan() {
  background_.Do(Urgency::kNow,
                 [this, claims = Claims(), directories = options_.directories](
                     const std::atomic<bool>& stop) -> Background::Result {
                   std::map<std::string, FoundModel> models;
                   std::map<std::string, std::string> broken;
                   std::set<std::string> complaints;
                   for (const std::string& directory : directories) {
                     auto found = repository::ScanRepository(directory, claims, stop);
                     if (!found.ok()) {
                       broken.emplace(directory, Message(found.status()));
                       continue;
                     }
                     for (FoundModel& model : found->models) MergeInto(&models, std::move(model));
                     for (const std::string& text : found->complaints) {
                       complaints.insert(fmt::format("the model repository {}: {}",
                                                     Quoted(directory, 200), text));
                     }
                   }
                   auto all = std::make_shared<std::vector<FoundModel>>();
                   all->reserve(models.size());
                   for (auto& [name, model] : models) all->push_back(std::move(model));
                   return [this, all, broken, complaints] {
                     for (const std::string& text : complaints) {
                       if (complaints_.count(text) == 0) Log(LogLevel::kWarning, "{}", text);
                     }
                     complaints_ = complaints;
                     for (const auto& [directory, why] : broken) {
                       if (broken_.count(directory) == 0) {
                         Log(LogLevel::kError, "{}: what is loaded stays as it is", why);
                       }
                     }
                     failed_ = !broken.empty();
                     broken_ = broken;
                     OnScanned(std::move(*all));
                   };
                 });
}

void Repositories::Stop() {
  stopped_ = true;
  timer_.cancel();
}

void Repositories::OnScanned(std::vector<Found> models) {
  if (stopped_) return;
  seen_.clear();
  for (Found& found : models) {
    seen_.insert(found.name);
    todo_.push_back(std::move(found));
  }
  Step();
}

// A large repository is looked through in turns: requests for changes come between.
void Repositories::Step() {
  for (size_t i = 0; i < kModelsPerTurn && !todo_.empty(); ++i) {
    const Found found = std::move(todo_.front());
    todo_.pop_front();
    Apply(found, IsChosen(found.name),
          [](const Status&) {});  // the model's reason says what failed
  }
  if (todo_.empty()) return EndScan();
  control_.Post([this] { Step(); });
}

void Repositories::EndScan() {
  // What could not be read may well be there.
  if (!failed_) {
    std::vector<std::string> gone;
    for (const auto& [name, versions] : catalog_.models()) {
      if (!versions.begin()->second->repository.empty() && seen_.count(name) == 0) {
        gone.push_back(name);
      }
    }
    for (const std::string& name : gone) DropMissing(name, {});
    std::erase_if(clashing_, [this](const auto& name) { return seen_.count(name) == 0; });
  }
  if (std::exchange(first_, false)) {
    Log(LogLevel::kInfo, "model repositories: {} models, control mode {}", seen_.size(),
        ModeName(options_.mode));
    manager_.HoldReadiness(false);
  }
  if (options_.mode != Mode::kPoll || stopped_) return;
  timer_.expires_after(options_.poll);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Scan();
  });
}

bool Repositories::IsChosen(const std::string& name) const {
  return options_.mode != Mode::kExplicit || chosen_.count(name) != 0 || chosen_.count("*") != 0;
}

// ------------------------------------------------------------------- applying

bool Repositories::Clashes(const std::string& name) {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end() || !it->second.begin()->second->repository.empty()) {
    clashing_.erase(name);
    return false;
  }
  if (clashing_.insert(name).second) {
    Log(LogLevel::kError,
        "model {} of the repository is not served: a model of that name is registered. Remove the "
        "registered one, or give the repository's another name",
        name);
  }
  return true;
}

void Repositories::Apply(const Found& found, bool chosen, Done done) {
  if (Clashes(found.name)) {
    return done(MakeStatus(StatusCode::kAlreadyExists,
                           fmt::format("model {} is registered, and in a repository", found.name)));
  }
  const auto wanted = found.Wanted();
  std::set<uint64_t> numbers;
  const auto change = std::make_shared<Change>();
  change->done = std::move(done);
  std::vector<FoundVersion> versions = found.versions;
  if (versions.empty()) versions.emplace_back();  // none is known: version 0 stands for the model
  for (const FoundVersion& version : versions) numbers.insert(version.number);
  change->then = [this, name = found.name, numbers] {
    manager_.ApplyPolicy(name);
    DropMissing(name, numbers);
  };
  if (found.fault.empty()) catalog_.HoldPolicy(found.name, found.policy);
  if (const auto known = catalog_.models().find(found.name); known != catalog_.models().end()) {
    for (const auto& [number, record] : known->second) {
      record->leaving = numbers.count(number) == 0;
    }
  }
  for (const FoundVersion& version : versions) {
    const bool serves = version.number == 0 ||
                        std::find(wanted.begin(), wanted.end(), version.number) != wanted.end();
    ApplyVersion(found, version, chosen && serves, change);
  }
  change->End(OkStatus());
}

void Repositories::ApplyVersion(const Found& found, const FoundVersion& version, bool wanted,
                                const ChangePtr& change) {
  ModelVersion anew = RecordOf(found, version);
  ModelVersion* record = nullptr;
  if (const auto it = catalog_.models().find(found.name); it != catalog_.models().end()) {
    const auto known = it->second.find(version.number);
    if (known != it->second.end()) record = known->second.get();
  }
  if (record == nullptr) {
    const StatusOr<ModelVersion*> held = catalog_.HoldModel(std::move(anew));
    if (!held.ok()) return Log(LogLevel::kError, "{}", Message(held.status()));
    manager_.Publish(found.name);
    if (wanted) Begin(**held, change);
    return;
  }
  if (record->fingerprint != anew.fingerprint)
    return Replace(*record, std::move(anew), wanted, change);
  // One that is on its way is waited for.
  const bool idle = record->state == State::kUnloaded || record->state == State::kRegistered ||
                    record->state == State::kLoading;
  // Whoever asks for a model that failed wants it tried again.
  const bool again = record->state == State::kFailed && options_.mode == Mode::kExplicit;
  if (wanted && (idle || again)) Begin(*record, change);
}

// The version is not what it was.
void Repositories::Replace(ModelVersion& record, ModelVersion anew, bool wanted,
                           const ChangePtr& change) {
  if (record.state == State::kLoading || record.state == State::kDraining) {
    ++change->left;  // the next time that the repository is read it has settled
    return change->End(Unavailable(Label(record) + " is being loaded or unloaded: try again"));
  }
  if (record.state != State::kReady || record.plugin != anew.plugin) {
    if (record.state == State::kReady && wanted && anew.fault.empty()) {
      // Another plugin is to run it: it has to leave the one before.
      ++change->left;
      return manager_.UnloadModel(
          record.name, std::to_string(record.version),
          [this, id = record.id, next = std::make_shared<ModelVersion>(std::move(anew)),
           change](const Status& status) {
            ModelVersion* gone = catalog_.FindModel(id);
            if (status.ok() && gone != nullptr) {
              TakeContent(*gone, std::move(*next));
              Begin(*gone, change);
            }
            change->End(status);
          });
    }
    if (record.state != State::kReady) {
      TakeContent(record, std::move(anew));
      manager_.ResetModel(record);
      if (wanted) Begin(record, change);
      return;
    }
  }
  if (!wanted || record.refused_fingerprint == anew.fingerprint) return;
  ++change->left;
  const std::string fingerprint = anew.fingerprint;
  const auto finish = [this, id = record.id, fingerprint, change](const Status& status) {
    ModelVersion* kept = catalog_.FindModel(id);
    if (!status.ok() && kept != nullptr) {
      kept->refused_fingerprint = fingerprint;
      kept->reason =
          fmt::format("what it is now in its repository is not served: {}", Message(status));
      Log(LogLevel::kError, "{}: {}; it serves as it was", Label(*kept), kept->reason);
      manager_.Publish(kept->name);
    }
    change->End(status);
  };
  if (!anew.fault.empty()) return finish(FailedPrecondition(anew.fault));
  manager_.ReloadModel(record, std::make_shared<const ModelVersion>(std::move(anew)), finish);
}

void Repositories::Begin(ModelVersion& record, const ChangePtr& change) {
  ++change->left;
  const Status kept = catalog_.SetDesired(record, Desired::kLoaded);
  if (!kept.ok()) return change->End(kept);
  if (!record.fault.empty()) {
    manager_.FailModel(record);
    return change->End(Unavailable(Label(record) + ": " + record.fault));
  }
  if (record.state == State::kUnloaded) {  // from here on it is one that should be loaded
    record.state = State::kRegistered;
    record.reason.clear();
    manager_.Publish(record.name);
  }
  manager_.NeedPlugin(record.plugin);
  manager_.LoadModel(record.name, std::to_string(record.version),
                     [change](const Status& status) { change->End(status); });
}

// Versions that the repository has no more; all of them where `found` is empty.
void Repositories::DropMissing(const std::string& name, const std::set<uint64_t>& found) {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return;
  std::vector<ModelVersion*> missing;
  for (const auto& [number, record] : it->second) {
    if (found.count(number) == 0 && !record->repository.empty()) missing.push_back(record.get());
  }
  for (ModelVersion* record : missing) Drop(*record);
}

void Repositories::Drop(ModelVersion& record) {
  // One that loads is seen again by the next scan.
  if (record.state == State::kLoading || record.state == State::kDraining) return;
  const std::string name = record.name;
  if (record.state != State::kReady) {
    catalog_.ForgetModel(record);
    return manager_.Publish(name);
  }
  Log(LogLevel::kInfo, "{} is in its repository no more", Label(record));
  manager_.UnloadModel(name, std::to_string(record.version),
                       [this, name, id = record.id](const Status& status) {
                         ModelVersion* gone = catalog_.FindModel(id);
                         if (!status.ok() || gone == nullptr) return;
                         catalog_.ForgetModel(*gone);
                         manager_.Publish(name);
                       });
}

// ---------------------------------------------------------------- being asked

bool Repositories::Minds(std::string_view name) const {
  if (options_.directories.empty()) return false;
  const auto it = catalog_.models().find(name);
  return it == catalog_.models().end() || !it->second.begin()->second->repository.empty();
}

Status Repositories::MayChange(std::string_view name) const {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end() || it->second.begin()->second->repository.empty() ||
      options_.mode == Mode::kExplicit) {
    return OkStatus();
  }
  return Unavailable(fmt::format(
      "model {} comes from a model repository, and the control mode is {}: only what is in the "
      "repository loads and unloads it (mlosd --model-control-mode explicit)",
      name, ModeName(options_.mode)));
}

void Repositories::Load(const std::string& name, const Done& done) {
  if (options_.mode != Mode::kExplicit) {
    const Status refused = MayChange(name);
    return done(refused.ok() ? catalog_.FindModel(name, "").status() : refused);
  }
  background_.Do(Urgency::kNow,
                 [this, name, done, claims = Claims(), directories = options_.directories](
                     const std::atomic<bool>&) -> Background::Result {
                   std::map<std::string, FoundModel> models;
                   Status status =
                       NotFound(fmt::format("there is no model {}, neither registered nor in a "
                                            "model repository",
                                            Quoted(name)));
                   for (const std::string& directory : directories) {
                     auto found = repository::ScanModel(directory, name, claims);
                     if (found.ok()) {
                       MergeInto(&models, *std::move(found));
                     } else if (found.status().code() != StatusCode::kNotFound) {
                       status = found.status();
                     }
                   }
                   return [this, name, done, status, models] {
                     if (models.empty()) return done(status);
                     chosen_.insert(name);
                     Apply(models.begin()->second, true, done);
                   };
                 });
}

void Repositories::Unload(const std::string& name, const Done& done) {
  if (const Status may = MayChange(name); !may.ok()) return done(may);
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return done(catalog_.FindModel(name, "").status());
  chosen_.erase(name);
  const auto change = std::make_shared<Change>();
  change->done = done;
  change->then = [] {};
  std::vector<std::string> versions;
  versions.reserve(it->second.size());
  for (const auto& [number, record] : it->second) {
    if (number != 0) versions.push_back(std::to_string(number));
  }
  for (const std::string& version : versions) {
    ++change->left;
    manager_.UnloadModel(name, version, [change](const Status& status) { change->End(status); });
  }
  change->End(OkStatus());
}

}  // namespace mlos::lifecycle
