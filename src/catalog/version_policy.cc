// SPDX-License-Identifier: Apache-2.0
#include "catalog/version_policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/name.h"

namespace mlos::catalog {
namespace json = boost::json;
namespace {

constexpr size_t kMaxSpecific = 1000;

Status Malformed(const json::value& value) {
  return InvalidArgument(
      fmt::format("a version policy is {{\"all\":{{}}}}, {{\"latest\":{{\"num_versions\":N}}}} or "
                  "{{\"specific\":{{\"versions\":[…]}}}}, not {}",
                  Quoted(json::serialize(value), 200)));
}

// A whole number from 1 on, else 0.
uint64_t Positive(const json::value* value) {
  if (value == nullptr || !value->is_int64() || value->get_int64() < 1) return 0;
  return static_cast<uint64_t>(value->get_int64());
}

}  // namespace

bool VersionPolicy::Covers(uint64_t version, std::span<const uint64_t> present) const {
  switch (kind) {
    case Kind::kAll:
      return true;
    case Kind::kLatest:
      return static_cast<uint64_t>(std::count_if(present.begin(), present.end(),
                                                 [&](uint64_t other) { return other > version; })) <
             latest;
    case Kind::kSpecific:
      return versions.count(version) != 0;
  }
  return true;
}

StatusOr<VersionPolicy> ParseVersionPolicy(const json::value& value) {
  if (!value.is_object() || value.get_object().size() != 1) return Malformed(value);
  const auto& member = *value.get_object().begin();
  if (!member.value().is_object()) return Malformed(value);
  const json::object& inside = member.value().get_object();
  VersionPolicy policy;
  if (member.key() == "all" && inside.empty()) return policy;
  if (member.key() == "latest" && inside.size() == 1) {
    policy.kind = VersionPolicy::Kind::kLatest;
    policy.latest = Positive(inside.if_contains("num_versions"));
    if (policy.latest == 0) return Malformed(value);
    return policy;
  }
  const json::value* list = inside.if_contains("versions");
  if (member.key() != "specific" || inside.size() != 1 || list == nullptr || !list->is_array() ||
      list->get_array().size() > kMaxSpecific) {
    return Malformed(value);
  }
  policy.kind = VersionPolicy::Kind::kSpecific;
  for (const json::value& version : list->get_array()) {
    const uint64_t number = Positive(&version);
    if (number == 0) return Malformed(value);
    policy.versions.insert(number);
  }
  return policy;
}

json::object VersionPolicyObject(const VersionPolicy& policy) {
  switch (policy.kind) {
    case VersionPolicy::Kind::kLatest:
      return {{"latest", {{"num_versions", static_cast<int64_t>(policy.latest)}}}};
    case VersionPolicy::Kind::kSpecific: {
      json::array versions;
      for (const uint64_t version : policy.versions) {
        versions.emplace_back(static_cast<int64_t>(version));
      }
      return {{"specific", {{"versions", std::move(versions)}}}};
    }
    case VersionPolicy::Kind::kAll:
      break;
  }
  return {{"all", json::object()}};
}

std::string DescribePolicy(const VersionPolicy& policy) {
  switch (policy.kind) {
    case VersionPolicy::Kind::kLatest:
      return policy.latest == 1 ? "the latest version"
                                : fmt::format("the latest {} versions", policy.latest);
    case VersionPolicy::Kind::kSpecific: {
      std::string list;
      for (const uint64_t v : policy.versions)
        list += fmt::format("{}{}", list.empty() ? "" : ", ", v);
      return list.empty() ? "no version" : "versions " + list;
    }
    case VersionPolicy::Kind::kAll:
      break;
  }
  return "all versions";
}

}  // namespace mlos::catalog
