// SPDX-License-Identifier: Apache-2.0
//
// What is in a model repository.  Everything below its root is untrusted: what
// is wrong with a model is said of that model, and the others are as they are.
// Values; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "catalog/artefact.h"
#include "catalog/record.h"
#include "catalog/version_policy.h"
#include "proto/model_config.pb.h"
#include "repository/labels.h"

namespace mlos::repository {

inline constexpr char kConfigFile[] = "config.pbtxt";
inline constexpr char kWarmUpFolder[] = "warmup";  // of the data of samples
constexpr size_t kMaxModels = 10'000;
constexpr size_t kMaxVersions = 1'000;

// A plugin that is registered, and what it claims.
struct Claim {
  std::string plugin;
  std::vector<std::string> formats;
};

struct FoundVersion {
  uint64_t number = 0;
  catalog::Artefact artefact;
  std::string plugin;       // that is to run it
  std::string fault;        // why it cannot be loaded; empty: nothing is wrong
  std::string fingerprint;  // differs where anything that matters does
};

struct FoundModel {
  std::string name;
  std::string repository;        // absolute
  catalog::SharedConfig config;  // what is set
  catalog::VersionPolicy policy{.kind = catalog::VersionPolicy::Kind::kLatest};
  std::shared_ptr<const Labels> labels;  // null: there are none
  std::vector<FoundVersion> versions;    // ascending
  std::string fault;                     // of all of it: none can be loaded
  // Its directory is there and could not be read: `versions` is not what it has.
  bool unread = false;

  // The versions that its policy lets serve; those that a policy names are in
  // `versions` also where the repository lacks them, with that as their fault.
  std::vector<uint64_t> Wanted() const;
};

// Two repositories with a model of one name: which is meant is not for us to say,
// and that is its fault.
void MergeInto(std::map<std::string, FoundModel>* models, FoundModel found);

struct FoundRepository {
  std::vector<FoundModel> models;       // by name
  std::vector<std::string> complaints;  // of what is no model and should be one
};

// An error is one of the whole: it cannot be opened, or it has too many models.
StatusOr<FoundRepository> ScanRepository(const std::string& directory,
                                         const std::vector<Claim>& claims,
                                         const catalog::Stop& stop);
// NOT_FOUND where there is no directory of that name.  `given`: its configuration in
// place of what the directory has; null: none.
StatusOr<FoundModel> ScanModel(const std::string& directory, const std::string& name,
                               const std::vector<Claim>& claims,
                               const inference::ModelConfig* given = nullptr);

// The one of that name in all of `directories`, which come first by no right of theirs.
StatusOr<FoundModel> FindModel(const std::vector<std::string>& directories, const std::string& name,
                               const std::vector<Claim>& claims,
                               const inference::ModelConfig* given = nullptr);

}  // namespace mlos::repository
