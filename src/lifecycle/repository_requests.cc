// SPDX-License-Identifier: Apache-2.0
//
// What somebody asks of the models of repositories.
#include <fmt/core.h>

#include <algorithm>

#include "base/name.h"
#include "lifecycle/gather.h"
#include "lifecycle/repositories.h"
#include "lifecycle/repository_change.h"

namespace mlos::lifecycle {

using catalog::State;
using repository::FoundModel;
using Mode = RepositoryOptions::Mode;

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
      name, RepositoryModeName(options_.mode)));
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
                        const std::function<void()>& known, const Done& done) {
  const auto refused = [known, done](const Status& status) {
    if (known) known();
    done(status);
  };
  if (const Status may = MayLoad(name); !may.ok()) return refused(may);
  if (giving_.count(name) != 0) return done(IsFree(name));
  if (options_.mode != Mode::kExplicit && !catalog_.IsHeld(name)) {
    return refused(catalog_.FindModel(name, "").status());
  }
  background_.Do(
      Urgency::kNow,
      [this, name, only, known, done, refused, claims = Claims(),
       directories = options_.directories](const std::atomic<bool>&) -> Background::Result {
        auto found = std::make_shared<StatusOr<FoundModel>>(
            repository::FindModel(directories, name, claims));
        if (found->status().code() == StatusCode::kNotFound) {
          *found = NotFound(fmt::format(
              "there is no model {}, neither registered nor in a model repository", Quoted(name)));
        }
        return [this, name, only, known, done, refused, found] {
          if (giving_.count(name) != 0) return done(IsFree(name));
          if (found->status().code() == StatusCode::kNotFound && catalog_.IsHeld(name)) {
            return refused(NotFound(fmt::format(
                "no model repository has model {}: give its files with the load", Quoted(name))));
          }
          if (!found->ok()) return refused(found->status());
          const auto change = std::make_shared<Change>();
          change->done = done;
          change->asked = true;
          change->only = only;
          Choose(name);
          Apply(**found, true, change);
          if (known) known();
        };
      },
      refused);
}

// What somebody asks for is more than what a reading before it has found.
void Repositories::Choose(const std::string& name) {
  chosen_.insert(name);
  seen_.insert(name);
  std::erase_if(todo_, [&](const Found& found) { return found.name == name; });
}

void Repositories::Unload(const std::string& name, const Done& done) {
  if (const Status may = MayChange(name); !may.ok()) return done(may);
  const auto it = catalog_.models().find(name);
  if (it == catalog_.models().end()) return done(catalog_.FindModel(name, "").status());
  chosen_.erase(name);
  std::vector<std::string> versions;
  versions.reserve(it->second.size());
  for (const auto& [number, record] : it->second) {
    if (number != 0) versions.push_back(std::to_string(number));
  }
  if (versions.empty()) return done(OkStatus());
  const auto each = Gather(versions.size(), Tell::kFailureAtOnce, done);
  for (const std::string& version : versions) UnloadVersion(name, version, each);
}

void Repositories::UnloadVersion(const std::string& name, const std::string& version,
                                 const Done& done) {
  if (const Status may = MayChange(name); !may.ok()) return done(may);
  manager_.UnloadModel(name, version, [this, name, done](const Status& status) {
    done(status);
    LetGoOfGiven(name);
  });
}

}  // namespace mlos::lifecycle
