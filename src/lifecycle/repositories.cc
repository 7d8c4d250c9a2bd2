// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/repositories.h"

#include <fcntl.h>
#include <fmt/core.h>

#include "base/log.h"
#include "base/mutex.h"
#include "base/name.h"
#include "lifecycle/repository_change.h"

namespace mlos::lifecycle {

using repository::FoundModel;
using Mode = RepositoryOptions::Mode;

namespace {

// Models that are looked at before others get their turn on the loop.
constexpr size_t kModelsPerTurn = 32;

}  // namespace

// The catalog holds files beyond the life of what removes them elsewhere.
struct Repositories::Remover {
  void LetGo(std::shared_ptr<const void> files) {
    const MutexLock lock(mutex);
    if (thread != nullptr) thread->LetGo(std::move(files));
  }
  Mutex mutex;
  Background* thread MLOS_GUARDED_BY(mutex) = nullptr;
};

std::string_view RepositoryModeName(Mode mode) {
  constexpr std::string_view kNames[] = {"none", "poll", "explicit"};
  return kNames[static_cast<size_t>(mode)];
}

Repositories::Repositories(EventLoop& control, catalog::Catalog& catalog, Manager& manager,
                           RepositoryOptions options)
    : control_(control),
      catalog_(catalog),
      manager_(manager),
      options_(std::move(options)),
      remover_(std::make_shared<Remover>()),
      given_(options_.given_dir,
             [remover = remover_](std::shared_ptr<const void> files) {
               remover->LetGo(std::move(files));
             }),
      timer_(control.io()),
      background_(control) {
  const MutexLock lock(remover_->mutex);
  remover_->thread = &background_;
}

Repositories::~Repositories() {
  const MutexLock lock(remover_->mutex);
  remover_->thread = nullptr;
}

Status Repositories::Start() {
  given_.Sweep();
  if (options_.directories.empty()) return OkStatus();
  for (const std::string& directory : options_.directories) {
    const OwnedFd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (root) continue;
    const Status why = ErrnoStatus(fmt::format("--model-repository {}", Quoted(directory, 200)));
    return FailedPrecondition(Message(why));
  }
  if (options_.mode == Mode::kExplicit) chosen_.insert(options_.load.begin(), options_.load.end());
  manager_.HoldReadiness("the model repositories have not been read yet");
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
          for (FoundModel& model : found->models) repository::MergeInto(&models, std::move(model));
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
  if (stopped_) return;
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
    std::vector<std::string> unseen;
    for (const auto& [name, model] : catalog_.shadowed()) {
      if (seen_.count(name) == 0) unseen.push_back(name);
    }
    for (const std::string& name : unseen) catalog_.Unshadow(name);
    if (!unseen.empty()) manager_.Publish();
  }
  if (first_ && failed_) {
    // What is to be loaded is not known yet: whatever the mode, it is read again.
    manager_.HoldReadiness(broken_.begin()->second);
  } else if (std::exchange(first_, false)) {
    Log(LogLevel::kInfo, "model repositories: {} models, control mode {}", seen_.size(),
        RepositoryModeName(options_.mode));
    manager_.HoldReadiness({});
    NoteAbsent();
  }
  if (!(options_.mode == Mode::kPoll || first_) || stopped_) return;
  timer_.expires_after(options_.poll);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Scan();
  });
}

// Models that the start names and that are not there: most likely a mistake.
void Repositories::NoteAbsent() {
  std::set<std::string> absent;
  for (const std::string& name : options_.load) {
    if (name == "*" || seen_.count(name) != 0) continue;
    Log(LogLevel::kError, "there is no model {} in a model repository, as --load-model says",
        Quoted(name));
    absent.insert(name);
  }
  manager_.SetAbsent(std::move(absent));
}

bool Repositories::IsChosen(const std::string& name) const {
  return options_.mode != Mode::kExplicit || chosen_.count(name) != 0 || chosen_.count("*") != 0;
}

}  // namespace mlos::lifecycle
