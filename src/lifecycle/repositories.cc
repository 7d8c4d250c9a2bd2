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
// What fails again and again is tried after 1, 2, 4, … readings, at most 64.
constexpr uint32_t kMaxDoublings = 6;

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

// Two repositories with a model of one name: which is meant is not for us to say.
void MergeInto(std::map<std::string, FoundModel>* models, FoundModel found) {
  const auto [it, added] = models->try_emplace(found.name, found);
  if (added) return;
  FoundModel& first = it->second;
  first.fault = fmt::format("it is in two model repositories, {} and {}",
                            Quoted(first.repository, 200), Quoted(found.repository, 200));
  for (FoundVersion& version : first.versions) version.fingerprint += "\n" + first.fault;
}

}  // namespace

// What a change of one model waits for, and what comes then.
struct Repositories::Change {
  std::function<void()> then;
  Done done;
  bool asked = false;            // by somebody, who wants it tried again
  std::optional<uint64_t> only;  // the version whose success is asked for; none: all
  bool changed = false;          // something is not as it was
  size_t left = 1;               // the one who begins it counts too
  Status status;

  void End(const Status& ended) {
    if (status.ok()) status = ended;
    if (--left > 0) return;
    then();
    done(status);
  }
  // Of one version.
  void End(uint64_t version, const Status& ended) {
    End(!only || *only == version ? ended : OkStatus());
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

// What a reading of all repositories brought.
struct Repositories::Scanned {
  std::vector<FoundModel> models;
  std::map<std::string, std::string> broken;  // repositories, and why
  std::set<std::string> complaints;
};

void Repositories::Scan() {
  background_.Do(
      Urgency::kNow,
      [this, claims = Claims(),
       directories = options_.directories](const std::atomic<bool>& stop) -> Background::Result {
        const auto out = std::make_shared<Scanned>();
        std::map<std::string, FoundModel> models;
        for (const std::string& directory : directories) {
          auto found = repository::ScanRepository(directory, claims, stop);
          if (!found.ok()) {
            out->broken.emplace(directory, Message(found.status()));
            continue;
          }
          for (FoundModel& model : found->models) MergeInto(&models, std::move(model));
          for (const std::string& text : found->complaints) {
            out->complaints.insert(
                fmt::format("the model repository {}: {}", Quoted(directory, 200), text));
          }
        }
        out->models.reserve(models.size());
        for (auto& [name, model] : models) out->models.push_back(std::move(model));
        return [this, out] { OnScanned(std::move(*out)); };
      },
      [this](const Status& status) {
        Scanned nothing;
        nothing.broken.emplace("", fmt::format("the model repositories: {}", Message(status)));
        nothing.complaints = complaints_;
        OnScanned(std::move(nothing));
      });
}

void Repositories::Stop() {
  stopped_ = true;
  timer_.cancel();
}

void Repositories::OnScanned(Scanned scanned) {
  if (stopped_) return;
  for (const std::string& text : scanned.complaints) {
    if (complaints_.count(text) == 0) Log(LogLevel::kWarning, "{}", text);
  }
  for (const auto& [directory, why] : scanned.broken) {
    if (broken_.count(directory) == 0) {
      Log(LogLevel::kError, "{}: what is loaded stays as it is", why);
    }
  }
  failed_ = !scanned.broken.empty();
  broken_ = std::move(scanned.broken);
  complaints_ = std::move(scanned.complaints);
  seen_.clear();
  for (Found& found : scanned.models) {
    seen_.insert(found.name);
    todo_.push_back(std::move(found));
  }
  Step();
}

// A large repository is looked through in turns: requests for changes come between.
void Repositories::Step() {
  const Manager::PublishOnce all_of_them(manager_);
  for (size_t i = 0; i < kModelsPerTurn && !todo_.empty(); ++i) {
    const Found found = std::move(todo_.front());
    todo_.pop_front();
    const auto change = std::make_shared<Change>();
    change->done = [](const Status&) {};  // the model's reason says what failed
    Apply(found, IsChosen(found.name), change);
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
    for (const std::string& name : gone) {
      for (const auto& [number, record] : catalog_.models().find(name)->second) {
        record->leaving = true;
      }
      DropLeaving(name);
    }
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

void Repositories::Apply(const Found& found, bool chosen, const ChangePtr& change) {
  change->then = [this, name = found.name, change = std::weak_ptr<Change>(change)] {
    const auto ended = change.lock();
    if (ended != nullptr && ended->changed) manager_.ApplyPolicy(name);
    DropLeaving(name);
  };
  if (Clashes(found.name)) {
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
    const bool serves = version.number == 0 ||
                        std::find(wanted.begin(), wanted.end(), version.number) != wanted.end();
    ApplyVersion(found, version, chosen && serves, change);
  }
  change->End(OkStatus());
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
  if (record.state == State::kLoading || record.state == State::kDraining) {
    ++change->left;  // the next time that the repository is read it has settled
    return change->End(record.version,
                       Unavailable(Label(record) + " is being loaded or unloaded: try again"));
  }
  if (record.state != State::kReady) {
    change->changed = true;
    retries_.erase(record.id);
    TakeContent(record, std::move(anew));
    manager_.ResetModel(record);
    if (wanted) Begin(record, change);
    return;
  }
  if (!wanted) return;
  if (record.plugin == anew.plugin || !anew.fault.empty()) {
    return LoadBeside(record, std::move(anew), change);
  }
  // Another plugin is to run it: it has to leave the one before.
  ++change->left;
  change->changed = true;
  manager_.UnloadModel(
      record.name, std::to_string(record.version),
      [this, id = record.id, number = record.version,
       next = std::make_shared<ModelVersion>(std::move(anew)), change](const Status& status) {
        ModelVersion* gone = catalog_.FindModel(id);
        if (status.ok() && gone != nullptr) {
          TakeContent(*gone, std::move(*next));
          Begin(*gone, change);
        }
        change->End(number, status);
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
  if (!status.ok() && kept != nullptr) {
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
        change->End(number, gone != nullptr ? status
                                            : Unavailable("the model is in its repository no "
                                                          "more"));
      });
}

void Repositories::Begin(ModelVersion& record, const ChangePtr& change) {
  ++change->left;
  change->changed = true;
  const uint64_t number = record.version;
  const Status kept = catalog_.SetDesired(record, Desired::kLoaded);
  if (!kept.ok()) return change->End(number, kept);
  if (!record.fault.empty()) {
    manager_.FailModel(record);
    return change->End(number, Unavailable(Label(record) + ": " + record.fault));
  }
  if (record.state == State::kUnloaded) {  // from here on it is one that should be loaded
    record.state = State::kRegistered;
    record.reason.clear();
    manager_.Publish(record.name);
  }
  manager_.NeedPlugin(record.plugin);
  manager_.LoadModel(record.name, std::to_string(number),
                     [this, id = record.id, number, change](const Status& status) {
                       NoteEnd(id, status);
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

// Versions that the repository has no more.
void Repositories::DropLeaving(const std::string& name) {
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return;
  std::vector<ModelVersion*> missing;
  for (const auto& [number, record] : it->second) {
    if (record->leaving && !record->repository.empty()) missing.push_back(record.get());
  }
  for (ModelVersion* record : missing) Drop(*record);
}

void Repositories::Drop(ModelVersion& record) {
  // One that loads is seen again by the next scan.
  if (record.state == State::kLoading || record.state == State::kDraining) return;
  const std::string name = record.name;
  if (record.state != State::kReady) {
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

// ---------------------------------------------------------------- being asked

bool Repositories::Minds(std::string_view name) const {
  if (options_.directories.empty()) return false;
  const auto it = catalog_.models().find(name);
  return it == catalog_.models().end() || !it->second.begin()->second->repository.empty();
}

Status Repositories::MayChange(std::string_view name) const {
  if (!catalog_.IsHeld(name) || options_.mode == Mode::kExplicit) return OkStatus();
  return Unavailable(fmt::format(
      "model {} comes from a model repository, and the control mode is {}: only what is in the "
      "repository loads and unloads it (mlosd --model-control-mode explicit)",
      name, ModeName(options_.mode)));
}

Status Repositories::MayLoad(std::string_view name) const {
  if (catalog_.IsHeld(name)) {
    const auto& versions = catalog_.models().find(name)->second;
    const bool failed = std::any_of(versions.begin(), versions.end(), [](const auto& version) {
      return version.second->state == State::kFailed;
    });
    if (failed) return OkStatus();
  }
  return MayChange(name);
}

void Repositories::Load(const std::string& name, std::optional<uint64_t> only,
                        std::function<void()> known, const Done& done) {
  const auto refused = [known, done](const Status& status) {
    if (known) known();
    done(status);
  };
  if (const Status may = MayLoad(name); !may.ok()) return refused(may);
  if (options_.mode != Mode::kExplicit && !catalog_.IsHeld(name)) {
    return refused(catalog_.FindModel(name, "").status());
  }
  background_.Do(
      Urgency::kNow,
      [this, name, only, known, done, refused, claims = Claims(),
       directories = options_.directories](const std::atomic<bool>&) -> Background::Result {
        const auto models = std::make_shared<std::map<std::string, FoundModel>>();
        Status status = NotFound(fmt::format(
            "there is no model {}, neither registered nor in a model repository", Quoted(name)));
        for (const std::string& directory : directories) {
          auto found = repository::ScanModel(directory, name, claims);
          if (found.ok()) {
            MergeInto(models.get(), *std::move(found));
          } else if (found.status().code() != StatusCode::kNotFound) {
            status = found.status();
          }
        }
        return [this, name, only, known, done, refused, status, models] {
          if (models->empty()) return refused(status);
          chosen_.insert(name);
          // What an earlier reading found is past.
          std::erase_if(todo_, [&](const Found& found) { return found.name == name; });
          const auto change = std::make_shared<Change>();
          change->done = done;
          change->asked = true;
          change->only = only;
          Apply(models->begin()->second, true, change);
          if (known) known();
        };
      },
      refused);
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
