// SPDX-License-Identifier: Apache-2.0
//
// Which versions of a model may serve: all (the default), the latest so many,
// or those that are named.  The form is that of a ModelConfig's
// "version_policy".  Values; pure functions.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <set>
#include <span>
#include <string>

#include "base/status.h"

namespace mlos::catalog {

struct VersionPolicy {
  enum class Kind { kAll, kLatest, kSpecific };
  Kind kind = Kind::kAll;
  uint64_t latest = 1;          // kLatest: how many
  std::set<uint64_t> versions;  // kSpecific

  // Whether `version` may serve where `present` (ascending) are the versions
  // that compete with it.
  bool Covers(uint64_t version, std::span<const uint64_t> present) const;
  // Whether there is a time at which `version` may serve.
  bool Names(uint64_t version) const {
    return kind != Kind::kSpecific || versions.count(version) != 0;
  }
  friend bool operator==(const VersionPolicy&, const VersionPolicy&) = default;
};

// {"all":{}}, {"latest":{"num_versions":2}} or {"specific":{"versions":[1,3]}}.
StatusOr<VersionPolicy> ParseVersionPolicy(const boost::json::value& value);
boost::json::object VersionPolicyObject(const VersionPolicy& policy);
std::string DescribePolicy(const VersionPolicy& policy);  // "the latest 2 versions"

}  // namespace mlos::catalog
