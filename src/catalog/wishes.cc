// SPDX-License-Identifier: Apache-2.0
//
// The catalog's dealings with the state store: what the operator wants is kept
// before it is true here.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/name.h"
#include "catalog/catalog.h"
#include "catalog/codec.h"

namespace mlos::catalog {
namespace {

constexpr size_t kMaxLabels = 100;

std::vector<uint64_t> Present(const Catalog::ModelVersions& versions, Competing competing) {
  std::vector<uint64_t> out;
  for (const auto& [number, record] : versions) {
    if (record->leaving) continue;  // it competes with none that is to take its place
    const bool should = record->desired == Desired::kLoaded || IsLoaded(record->state);
    if (competing == Competing::kReady ? record->state == State::kReady : should) {
      out.push_back(number);
    }
  }
  return out;
}

// "versions 1, 2, 5", of many the first.
std::string VersionsOf(const Catalog::ModelVersions& versions) {
  constexpr size_t kNamed = 10;
  std::string list = versions.size() == 1 ? "version" : "versions";
  size_t named = 0;
  for (const auto& [number, record] : versions) {
    if (named == kNamed) return list + ", …";
    fmt::format_to(std::back_inserter(list), "{} {}", named++ == 0 ? "" : ",", number);
  }
  return list;
}

}  // namespace

// To whoever asked for a change, a full disk is no limit of theirs.
Status Catalog::Commit(std::span<const state::Change> changes) {
  const Status kept = store_.Commit(changes);
  return kept.code() == StatusCode::kResourceExhausted ? Unavailable(Message(kept)) : kept;
}

Status Catalog::Put(std::string_view kind, std::string key, std::string value) {
  const state::Change change{std::string(kind), std::move(key), std::move(value)};
  return Commit({&change, 1});
}

// Changes copies, keeps those, then changes the records.
Status Catalog::Store(const std::vector<Edit>& edits) {
  std::vector<state::Change> changes;
  for (const auto& [record, edit] : edits) {
    PluginVersion changed = *record;
    edit(changed);
    std::string text = Encode(changed);
    if (text == Encode(*record)) continue;
    changes.push_back({std::string(kPluginKind), KeyOf(changed), std::move(text)});
  }
  if (changes.empty()) return OkStatus();
  MLOS_RETURN_IF_ERROR(Commit(changes));
  for (const auto& [record, edit] : edits) edit(*record);
  return OkStatus();
}

Status Catalog::Store(PluginVersion& plugin, const std::function<void(PluginVersion&)>& edit) {
  return Store({{&plugin, edit}});
}

Status Catalog::Store(ModelVersion& model, const std::function<void(ModelVersion&)>& edit) {
  if (!model.repository.empty()) {
    edit(model);
    return OkStatus();
  }
  ModelVersion changed = model;
  edit(changed);
  std::string text = Encode(changed);
  if (text == Encode(model)) return OkStatus();
  MLOS_RETURN_IF_ERROR(Put(kModelKind, KeyOf(model), std::move(text)));
  edit(model);
  return OkStatus();
}

// The first version that is wanted is preferred: models are loaded into it.
// When it goes, the one that is active then stays so, whatever is loaded later.
Status Catalog::SetWanted(PluginVersion& plugin, bool wanted) {
  bool preferred = wanted;
  PluginVersion* next = nullptr;
  for (const auto& [number, other] : plugins_.find(plugin.manifest.name)->second) {
    if (other.get() == &plugin || !other->wanted) continue;
    if (other->preferred) preferred = false;
    if (next == nullptr || other->state == State::kReady || next->state != State::kReady) {
      next = other.get();
    }
  }
  std::vector<Edit> edits{{&plugin, [=](PluginVersion& p) {
                             p.wanted = wanted;
                             p.preferred = preferred;
                           }}};
  if (!wanted && plugin.preferred && next != nullptr) {
    edits.emplace_back(next, [](PluginVersion& p) { p.preferred = true; });
  }
  return Store(edits);
}

Status Catalog::SetDesired(ModelVersion& model, Desired desired) {
  return Store(model, [&](ModelVersion& m) { m.desired = desired; });
}

Status Catalog::SetSwapped(PluginVersion& from, PluginVersion& to) {
  const auto edit_from = [](PluginVersion& p) {
    p.wanted = p.preferred = false;
    p.previous = true;
  };
  const auto edit_to = [](PluginVersion& p) {
    p.wanted = p.preferred = true;
    p.previous = false;
  };
  const auto edit_other = [](PluginVersion& p) { p.preferred = p.previous = false; };
  std::vector<Edit> edits;
  for (const auto& [number, record] : plugins_.find(to.manifest.name)->second) {
    if (record.get() == &from) {
      edits.emplace_back(record.get(), edit_from);
    } else if (record.get() == &to) {
      edits.emplace_back(record.get(), edit_to);
    } else {
      edits.emplace_back(record.get(), edit_other);
    }
  }
  return Store(edits);
}

const ModelGroup& Catalog::Group(std::string_view name) const {
  static const ModelGroup kNone;
  const auto it = groups_.find(name);
  return it == groups_.end() ? kNone : it->second;
}

Status Catalog::StoreGroup(std::string_view name, ModelGroup group) {
  MLOS_RETURN_IF_ERROR(Put(kGroupKind, std::string(name), Encode(group)));
  groups_[std::string(name)] = std::move(group);
  return OkStatus();
}

Status Catalog::SetLabel(std::string_view name, const std::string& label, uint64_t version) {
  MLOS_RETURN_IF_ERROR(ValidateName("label", label));
  if (label.find_first_not_of("0123456789") == std::string::npos) {
    return InvalidArgument(fmt::format(
        "the label {} is a number, which would hide the version of that number", Quoted(label)));
  }
  MLOS_RETURN_IF_ERROR(CheckNotHeld(name, "given no labels"));
  const auto it = models_.find(name);
  if (it == models_.end()) return FindModel(name, "").status();
  ModelGroup group = Group(name);
  if (version == 0) {
    if (group.labels.erase(label) == 0) {
      return NotFound(fmt::format("model {} has no label {}", name, Quoted(label)));
    }
    return StoreGroup(name, std::move(group));
  }
  if (it->second.count(version) == 0) {
    return NotFound(fmt::format("model {} has no version {}", name, version));
  }
  group.labels[label] = version;
  if (group.labels.size() > kMaxLabels) {
    return InvalidArgument(
        fmt::format("model {} has {} labels, and may not have more", name, kMaxLabels));
  }
  if (group == Group(name)) return OkStatus();
  return StoreGroup(name, std::move(group));
}

Status Catalog::SetPolicy(std::string_view name, const VersionPolicy& policy) {
  MLOS_RETURN_IF_ERROR(CheckNotHeld(name, "given its policy by its configuration there"));
  const auto it = models_.find(name);
  if (it == models_.end()) return FindModel(name, "").status();
  const auto serves = [&](const auto& version) { return policy.Names(version.first); };
  if (std::none_of(it->second.begin(), it->second.end(), serves)) {
    return FailedPrecondition(
        fmt::format("the policy would let nothing serve: it admits {}, and model {} has {}",
                    DescribePolicy(policy), name, VersionsOf(it->second)));
  }
  ModelGroup group = Group(name);
  group.policy = policy;
  if (group == Group(name)) return OkStatus();
  return StoreGroup(name, std::move(group));
}

Status Catalog::CheckPolicy(const ModelVersion& model, Competing competing) const {
  const VersionPolicy& policy = Group(model.name).policy;
  const auto present = Present(models_.find(model.name)->second, competing);
  if (policy.Covers(model.version, present)) return OkStatus();
  return FailedPrecondition(
      fmt::format("{} is left out by the model's version policy, which admits {}", Label(model),
                  DescribePolicy(policy)));
}

Status Catalog::SetChecksum(PluginVersion& plugin, const FileIdentity& library) {
  return Store(plugin, [&](PluginVersion& p) { p.library = library; });
}

Status Catalog::SetChecksums(ModelVersion& model, const std::vector<FileIdentity>& files) {
  return Store(model, [&](ModelVersion& m) { m.artefact.identities = files; });
}

void Catalog::NoteChecksums(ModelVersion& model, const std::vector<FileIdentity>& files) {
  model.artefact.identities = files;
  unsaved_.insert(model.id);
}

Status Catalog::SaveChecksums() {
  std::vector<state::Change> changes;
  for (const uint64_t id : unsaved_) {
    const ModelVersion* model = FindModel(id);
    if (model == nullptr || !model->repository.empty()) continue;
    changes.push_back({std::string(kModelKind), KeyOf(*model), Encode(*model)});
  }
  if (!changes.empty()) MLOS_RETURN_IF_ERROR(Commit(changes));
  unsaved_.clear();
  return OkStatus();
}

// ------------------------------------------------------------------- restoring

namespace {

Status CheckKey(const state::Record& record, const std::string& key) {
  if (record.key == key) return OkStatus();
  return InvalidArgument(fmt::format("it holds {}", Quoted(key)));
}

}  // namespace

Status Catalog::Restore() {
  MLOS_ASSIGN_OR_RETURN(const std::vector<state::Record> records, store_.Load());
  for (const state::Record& record : records) {
    const Status status = Restore(record);
    if (!status.ok()) {
      return MakeStatus(StatusCode::kDataLoss,
                        fmt::format("the stored {} {} cannot be understood: {}", record.kind,
                                    Quoted(record.key), Message(status)));
    }
  }
  return OkStatus();
}

Status Catalog::Restore(const state::Record& record) {
  if (record.kind == kPluginKind) {
    MLOS_ASSIGN_OR_RETURN(PluginVersion plugin, DecodePlugin(record.value));
    auto kept = std::make_unique<PluginVersion>(std::move(plugin));
    MLOS_RETURN_IF_ERROR(CheckKey(record, KeyOf(*kept)));
    plugins_[kept->manifest.name].emplace(kept->manifest.semantic_version, std::move(kept));
  } else if (record.kind == kModelKind) {
    MLOS_ASSIGN_OR_RETURN(ModelVersion model, DecodeModel(record.value));
    auto kept = std::make_unique<ModelVersion>(std::move(model));
    MLOS_RETURN_IF_ERROR(CheckKey(record, KeyOf(*kept)));
    if (kept->desired == Desired::kUnloaded) kept->state = State::kUnloaded;
    Insert(std::move(kept));
  } else if (record.kind == kGroupKind) {
    MLOS_ASSIGN_OR_RETURN(groups_[record.key], DecodeGroup(record.value));
  } else {
    return InvalidArgument("this version does not know such records: a newer one wrote it");
  }
  return OkStatus();
}

}  // namespace mlos::catalog
