// SPDX-License-Identifier: Apache-2.0
//
// Models that a model repository holds: in the catalog for this run, never in
// the store.  What is wanted of them is what the repository says.
#include <fmt/core.h>

#include "catalog/catalog.h"

namespace mlos::catalog {

bool Catalog::IsHeld(std::string_view name) const {
  const auto it = models_.find(name);
  return it != models_.end() && !it->second.begin()->second->repository.empty();
}

// `what`: what becomes of such a model instead.
Status Catalog::CheckNotHeld(std::string_view name, std::string_view what) const {
  if (!IsHeld(name)) return OkStatus();
  return FailedPrecondition(
      fmt::format("model {} comes from a model repository, and is {}", name, what));
}

StatusOr<ModelVersion*> Catalog::HoldModel(ModelVersion model) {
  if (models_.find(model.name) != models_.end() && !IsHeld(model.name)) {
    return AlreadyExists(fmt::format("a model {} is registered", model.name));
  }
  auto record = std::make_unique<ModelVersion>(std::move(model));
  record->desired = Desired::kUnloaded;
  record->state = State::kUnloaded;
  record->reason = record->fault;
  ModelVersion* raw = record.get();
  Insert(std::move(record));
  return raw;
}

void Catalog::HoldPolicy(std::string_view name, const VersionPolicy& policy) {
  groups_[std::string(name)].policy = policy;
}

void Catalog::Shadow(ModelVersion model) {
  model.version = 0;
  model.desired = Desired::kUnloaded;
  model.state = State::kFailed;
  model.reason = model.fault;
  const std::string name = model.name;
  shadowed_.insert_or_assign(name, std::move(model));
}

bool Catalog::Unshadow(std::string_view name) {
  const auto it = shadowed_.find(name);
  if (it == shadowed_.end()) return false;
  shadowed_.erase(it);
  return true;
}

void Catalog::ForgetModel(ModelVersion& model) {
  const std::string name = model.name;
  Erase(model);
  if (models_.find(name) == models_.end()) groups_.erase(name);
}

}  // namespace mlos::catalog
