// SPDX-License-Identifier: Apache-2.0
//
// What the catalog keeps of a plugin version and of a model version: what the
// operator registered and wants (durable), and what is (of this run).
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catalog/artefact.h"
#include "catalog/state.h"
#include "catalog/version_policy.h"
#include "manifest/manifest.h"
#include "tensor/model_info.h"
#include "tensor/model_settings.h"

namespace mlos::catalog {

// A model's configuration as it was given.  Copies share it: a repository's is of
// all versions of the model, of which there may be many.
class SharedConfig {
 public:
  SharedConfig() : SharedConfig(boost::json::object()) {}
  SharedConfig(boost::json::object config)  // NOLINT(google-explicit-constructor): it is one
      : config_(std::make_shared<const boost::json::object>(std::move(config))) {}
  const boost::json::object& operator*() const { return *config_; }
  const boost::json::object* operator->() const { return config_.get(); }

 private:
  std::shared_ptr<const boost::json::object> config_;  // never null
};

struct PluginVersion {
  // ---- durable
  Manifest manifest;
  std::string directory;  // absolute
  std::string source;     // where it was installed from; empty: `directory` is where it lies
  FileIdentity library;
  bool wanted = false;     // it should be loaded
  bool preferred = false;  // of the loaded versions, the one to be active
  bool previous = false;   // what a rollback goes back to

  // ---- of this run
  State state = State::kRegistered;
  std::string reason;
  bool active = false;  // the version that the name's models are loaded into
  uint64_t host = 0;    // while loading, ready or draining
};

// What the operator wants of a model.
enum class Desired { kOnDemand, kLoaded, kUnloaded };
std::string_view DesiredName(Desired desired);  // "on_demand", …

struct ModelVersion {
  // ---- durable
  std::string name;
  uint64_t version = 1;
  std::string path;  // as registered
  Artefact artefact;
  std::string plugin;  // its name
  SharedConfig config;
  boost::json::object metadata;  // the user's own, values of any kind
  std::string owner;             // who registered it
  Desired desired = Desired::kOnDemand;

  // ---- of this run
  uint64_t id = 0;  // of the registration: never used again
  State state = State::kRegistered;
  std::string reason;
  uint64_t unloads = 0;   // how often it was told to unload: what began before that is past
  bool left_out = false;  // it was unloaded by the version policy, and nobody else
  // Of one that a model repository holds and nobody registered: nothing of it
  // is in the store.
  std::string repository;           // its directory; empty: it is registered
  bool leaving = false;             // it is there no more, and serves until others do
  std::string fault;                // why it cannot be loaded at all; empty: nothing is wrong
  std::string fingerprint;          // of what it is made of
  std::string refused_fingerprint;  // what it would be now, had that not failed
  bool may_pass = false;            // it failed, and for a reason that may be gone by itself
  // What the classes of its outputs are called, by output; null: nothing.
  std::shared_ptr<const std::map<std::string, std::vector<std::string>>> labels;
  // While loading, ready or draining:
  std::string plugin_version;
  uint64_t host = 0;
  uint32_t handle = 0;
  std::shared_ptr<const ModelInfo> info;
  std::shared_ptr<const ModelSettings> settings;
};

// What is said of all versions of a model at once.
struct ModelGroup {
  std::map<std::string, uint64_t, std::less<>> labels;  // "stable" -> version
  VersionPolicy policy;
  friend bool operator==(const ModelGroup&, const ModelGroup&) = default;
};

std::string Label(const PluginVersion& plugin);  // "plugin onnxruntime 1.0.0"
std::string Label(const ModelVersion& model);    // "model digits version 1"

}  // namespace mlos::catalog
