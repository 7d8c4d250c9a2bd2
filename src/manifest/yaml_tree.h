// SPDX-License-Identifier: Apache-2.0
//
// A small part of YAML, read as untrusted input: one document of mappings,
// sequences and scalars.  Refused: anchors and aliases (a few lines of them
// expand to gigabytes), tags, merge keys, keys that are not plain text,
// duplicate keys, further documents, and more nodes or depth than a manifest
// can need.  Built on the event interface of yaml-cpp, which allocates nothing
// for what is refused; its exceptions end here.
// Ownership: a tree of values.  Threads: pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mlos {

struct YamlMember;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  int line = 1;                     // 1-based, where the node begins
  std::string scalar;               // kScalar
  std::vector<YamlNode> items;      // kSequence
  std::vector<YamlMember> members;  // kMapping, as written
};

struct YamlMember {
  std::string key;
  YamlNode value;
};

// "a mapping", "a list", "a value", "nothing"
std::string_view KindName(YamlNode::Kind kind);

// INVALID_ARGUMENT with "line N: …" when the text is not such a document.
StatusOr<YamlNode> ParseYaml(std::string_view text);

}  // namespace mlos
