// SPDX-License-Identifier: Apache-2.0
//
// What should exist: plugins and models with their versions, and the rules of
// registering them.  Knows no processes; lifecycle/ makes it true and writes
// back what is.
//
// Threads: the control loop only.  Records are stable in memory until removed.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "catalog/artefact.h"
#include "manifest/manifest.h"
#include "tensor/model_info.h"

namespace mlos::catalog {

enum class State { kRegistered, kLoading, kReady, kDraining, kUnloaded, kFailed };
std::string_view StateName(State state);  // "registered", …

// What a file was when it was registered.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

struct PluginVersion {
  Manifest manifest;
  std::string directory;  // absolute
  FileIdentity library;
  State state = State::kRegistered;
  std::string reason;
  bool active = false;  // the version that the name's models bind to
};

// What the operator wants of a model.
enum class Desired { kOnDemand, kLoaded, kUnloaded };

struct ModelVersion {
  std::string name;
  uint64_t version = 1;
  std::string path;  // as registered
  Artefact artefact;
  std::string plugin;  // its name
  boost::json::object config;
  uint64_t id = 0;  // of the registration
  Desired desired = Desired::kOnDemand;
  State state = State::kRegistered;
  std::string reason;
  // While loading, ready or draining:
  std::string plugin_version;
  uint64_t host = 0;
  uint32_t handle = 0;
  std::shared_ptr<const ModelInfo> info;
};

struct ModelSpec {
  std::string name;
  uint64_t version = 1;
  std::string path;
  std::string plugin;  // empty: the one that claims the format
  boost::json::object config;
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

  // Reads the manifest of the package at `given` and records it; maps nothing.
  // The same package again is fine; another package under a name and version
  // that are taken is ALREADY_EXISTS.
  StatusOr<Registered<PluginVersion>> RegisterPlugin(const std::string& given);
  StatusOr<Registered<ModelVersion>> RegisterModel(ModelSpec spec);

  // NOT_FOUND, naming what there is.
  StatusOr<PluginVersion*> FindPlugin(std::string_view name, std::string_view version);
  StatusOr<ModelVersion*> FindModel(std::string_view name, std::string_view version);
  // nullptr if the plugin has no loaded version.
  PluginVersion* ActivePlugin(std::string_view name);

  // FAILED_PRECONDITION while it is loaded.
  Status RemovePlugin(std::string_view name, std::string_view version);
  Status RemoveModel(std::string_view name, std::string_view version);

  const std::map<std::string, PluginVersions, std::less<>>& plugins() const { return plugins_; }
  const std::map<std::string, ModelVersions, std::less<>>& models() const { return models_; }
  // Loaded models of a plugin version.
  size_t ModelsOn(const PluginVersion& plugin) const;

 private:
  StatusOr<std::string> PluginFor(const Artefact& artefact, const std::string& path) const;
  std::vector<std::string> Formats(const std::string& plugin) const;

  std::map<std::string, PluginVersions, std::less<>> plugins_;
  std::map<std::string, ModelVersions, std::less<>> models_;
  uint64_t next_id_ = 1;
};

// A model version in a URL or a request: a decimal number from 1 on.
StatusOr<uint64_t> ParseModelVersion(std::string_view text);

}  // namespace mlos::catalog
