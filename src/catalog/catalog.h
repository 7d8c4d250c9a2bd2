// SPDX-License-Identifier: Apache-2.0
//
// What should exist: plugins and models with their versions, and the rules of
// changing that.  Every change is in the state store before the call returns
// OK; when the store refuses it, nothing has changed.  Knows no processes:
// lifecycle/ makes it true and writes back what is.
//
// Threads: the control loop only.  Records are stable in memory until removed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "catalog/record.h"
#include "state/state_store.h"

namespace mlos::catalog {

struct ModelSpec {
  std::string name;
  uint64_t version = 1;
  std::string path;
  std::string plugin;  // empty: the one that claims the format
  boost::json::object config;
  boost::json::object metadata;
  std::string owner;
};

// Which versions of a model a version policy counts.
enum class Competing {
  kAll,    // that serve or should
  kReady,  // that serve
};

// A record, and whether this call made it.
template <typename T>
struct Registered {
  T* record = nullptr;
  bool created = false;
};

class Catalog {
 public:
  using PluginVersions = std::map<SemanticVersion, std::unique_ptr<PluginVersion>>;
  using ModelVersions = std::map<uint64_t, std::unique_ptr<ModelVersion>>;

  // Borrows the store.
  explicit Catalog(state::StateStore& store) : store_(store) {}
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  // What an earlier run left.  DATA_LOSS: a record cannot be understood; the
  // text names it.  Before anything else.
  Status Restore();

  // Reads the manifest of the package at `given` and records it; maps nothing.
  // The same package again is fine; another package under a name and version
  // that are taken is ALREADY_EXISTS.  `source`: where it was copied from.
  StatusOr<Registered<PluginVersion>> RegisterPlugin(const std::string& given,
                                                     const std::string& source = {});
  // The same for a package that the operator keeps in place: where it was built
  // anew since it was registered, and is not loaded, it counts as it is now.
  StatusOr<Registered<PluginVersion>> AdoptPlugin(const std::string& given);
  StatusOr<Registered<ModelVersion>> RegisterModel(ModelSpec spec);

  // NOT_FOUND, naming what there is.
  StatusOr<PluginVersion*> FindPlugin(std::string_view name, std::string_view version);
  Status HasPlugin(std::string_view name) const;  // any version of it
  // `version`: a number or a label.
  StatusOr<ModelVersion*> FindModel(std::string_view name, std::string_view version);
  // The record of a registration; nullptr when it is gone.
  ModelVersion* FindModel(uint64_t id);
  // nullptr if the plugin has no loaded version.
  PluginVersion* ActivePlugin(std::string_view name);
  // nullptr when there is nothing to go back to.
  PluginVersion* PreviousPlugin(std::string_view name);

  Status RemovePlugin(std::string_view name, std::string_view version);
  Status RemoveModel(std::string_view name, std::string_view version);

  // ---- what the operator wants
  Status SetWanted(PluginVersion& plugin, bool wanted);
  Status SetDesired(ModelVersion& model, Desired desired);
  // `to` is preferred from now on, wanted, and `from` its previous and not.
  Status SetSwapped(PluginVersion& from, PluginVersion& to);
  // No version: the label goes.
  Status SetLabel(std::string_view name, const std::string& label, uint64_t version);
  Status SetPolicy(std::string_view name, const VersionPolicy& policy);
  const ModelGroup& Group(std::string_view name) const;
  // FAILED_PRECONDITION where the version policy leaves the version out.
  Status CheckPolicy(const ModelVersion& model, Competing competing = Competing::kAll) const;

  // ---- what model repositories hold: held.cc.  For this run only.
  // ALREADY_EXISTS where a model of the name is registered.
  StatusOr<ModelVersion*> HoldModel(ModelVersion model);
  void HoldPolicy(std::string_view name, const VersionPolicy& policy);
  void ForgetModel(ModelVersion& model);  // that is not loaded
  bool IsHeld(std::string_view name) const;
  // A model of a repository whose name is registered: it is there, and does not
  // serve.  Version 0, failed.
  void Shadow(ModelVersion model);
  bool Unshadow(std::string_view name);  // false: it was not
  const std::map<std::string, ModelVersion, std::less<>>& shadowed() const { return shadowed_; }

  // What the files are, once that is known.
  Status SetChecksum(PluginVersion& plugin, const FileIdentity& library);
  Status SetChecksums(ModelVersion& model, const std::vector<FileIdentity>& files);
  // The same, kept by the next SaveChecksums: after many registrations one
  // commit keeps all.  What is lost with the process is computed again.
  void NoteChecksums(ModelVersion& model, const std::vector<FileIdentity>& files);
  Status SaveChecksums();

  // The preferred loaded version is active, else the highest loaded one.
  void ChooseActive(std::string_view name);

  const std::map<std::string, PluginVersions, std::less<>>& plugins() const { return plugins_; }
  const std::map<std::string, ModelVersions, std::less<>>& models() const { return models_; }
  // Loaded models of a plugin version.
  size_t ModelsOn(const PluginVersion& plugin) const;

 private:
  StatusOr<std::string> PluginFor(const Artefact& artefact, const std::string& path) const;
  std::vector<std::string> Formats(const std::string& plugin) const;
  Status Commit(std::span<const state::Change> changes);
  Status Put(std::string_view kind, std::string key, std::string value);
  // Changes the durable part of a record, in the store first.
  Status Store(PluginVersion& plugin, const std::function<void(PluginVersion&)>& edit);
  Status Store(ModelVersion& model, const std::function<void(ModelVersion&)>& edit);
  using Edit = std::pair<PluginVersion*, std::function<void(PluginVersion&)>>;
  Status Store(const std::vector<Edit>& edits);  // all or none
  void Insert(std::unique_ptr<ModelVersion> record);
  void Erase(const ModelVersion& record);
  Status CheckNotHeld(std::string_view name, std::string_view what) const;
  Status StoreGroup(std::string_view name, ModelGroup group);
  Status Restore(const state::Record& record);

  state::StateStore& store_;
  std::map<std::string, PluginVersions, std::less<>> plugins_;
  std::map<std::string, ModelVersions, std::less<>> models_;
  std::map<uint64_t, ModelVersion*> by_id_;
  std::map<std::string, ModelVersion, std::less<>> shadowed_;
  std::map<std::string, ModelGroup, std::less<>> groups_;
  std::set<uint64_t> unsaved_;  // models with checksums that are not in the store yet
  uint64_t next_id_ = 1;
};

// A model version in a URL or a request: a decimal number from 1 on.
StatusOr<uint64_t> ParseModelVersion(std::string_view text);

}  // namespace mlos::catalog
