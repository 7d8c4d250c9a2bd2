// SPDX-License-Identifier: Apache-2.0
//
// The operations on all versions of a model at once.
#include <utility>
#include <vector>

#include "control/core_control.h"
#include "control/objects.h"
#include "control/outcomes.h"
#include "lifecycle/gather.h"

namespace mlos::control {

namespace {

std::vector<std::string> AllOf(const catalog::Catalog::ModelVersions& versions) {
  std::vector<std::string> out;
  out.reserve(versions.size());
  for (const auto& [number, record] : versions) out.push_back(std::to_string(number));
  return out;
}

// Those that the policy admits where none competes but for being registered.
std::vector<std::string> Admitted(const catalog::Catalog::ModelVersions& versions,
                                  const catalog::VersionPolicy& policy) {
  std::vector<uint64_t> registered;
  registered.reserve(versions.size());
  for (const auto& [number, record] : versions) registered.push_back(number);
  std::vector<std::string> out;
  out.reserve(registered.size());
  for (const uint64_t number : registered) {
    if (policy.Covers(number, registered)) out.push_back(std::to_string(number));
  }
  return out;
}

}  // namespace

void CoreControl::LoadVersion(const std::string& name, const std::string& version,
                              const lifecycle::Manager::Done& done) {
  const auto record = catalog_.FindModel(name, version);
  if (!record.ok() || (*record)->state != catalog::State::kDraining) {
    return manager_.LoadModel(name, version, done);
  }
  // One more who waits for its end.
  manager_.UnloadModel(name, version, [this, name, version, done](const Status&) {
    manager_.LoadModel(name, version, done);
  });
}

// A version that is on its way out is waited for: whoever asks for all of them
// knows nothing of single versions.
void CoreControl::ChangeVersions(const Operation& op, const Done& done) {
  const bool load = op.kind == OperationKind::kLoadModelVersions;
  const auto list = [this, name = op.name] {
    return Object({{"models", ModelList(catalog_, name)}});
  };
  if (op.given != nullptr) {
    if (repositories_ == nullptr) {
      return done(Fail(op, Unavailable("this daemon has no model repositories")));
    }
    const auto change = [&](const lifecycle::Manager::Done& finished) {
      repositories_->LoadGiven(op.name, op.given, finished);
    };
    Operation rest = op;  // what is kept until the end goes without the files
    rest.given.reset();
    return GoOn(rest, done, change, list);
  }
  if (repositories_ != nullptr && repositories_->Minds(op.name)) {
    const auto change = [&](const lifecycle::Manager::Done& finished) {
      load ? repositories_->Load(op.name, finished) : repositories_->Unload(op.name, finished);
    };
    return GoOn(op, done, change, list);
  }
  const auto model = catalog_.models().find(op.name);
  if (model == catalog_.models().end()) {
    return done(Fail(op, catalog_.FindModel(op.name, "").status()));
  }
  const std::vector<std::string> versions =
      load ? Admitted(model->second, catalog_.Group(op.name).policy) : AllOf(model->second);
  if (versions.empty()) {
    return done(Fail(op, FailedPrecondition("the version policy of model " + op.name +
                                            " admits none of its versions")));
  }
  const auto start = [&](lifecycle::Manager::Done finished) {
    // An unload that is refused is said at once: who asked may not wait for the others' end.
    const auto each = lifecycle::Gather(
        versions.size(), load ? lifecycle::Tell::kAtTheEnd : lifecycle::Tell::kFailureAtOnce,
        std::move(finished));
    for (const std::string& version : versions) {
      if (!load) {
        manager_.UnloadModel(op.name, version, each);
      } else {
        LoadVersion(op.name, version, each);
      }
    }
  };
  GoOn(op, done, start, list);
}

}  // namespace mlos::control
