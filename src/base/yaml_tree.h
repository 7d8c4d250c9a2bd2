// SPDX-License-Identifier: Apache-2.0
//
// A small part of YAML, read as untrusted input: one document of mappings,
// sequences and scalars.  Refused: anchors and aliases (a few lines of them
// expand to gigabytes), tags, merge keys, keys that are not plain text,
// duplicate keys, further documents, and more nodes or depth than a file that
// people write by hand can need.  Callers bound the text itself: 64 KiB.  Built on the event
// interface of yaml-cpp, which allocates nothing for what is refused; its exceptions end here.
// Ownership: a tree of values.  Threads: pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlos {

struct YamlMember;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };
  Kind kind = Kind::kNull;
  int line = 1;  // 1-based, where the node begins
  int column = 1;
  std::string scalar;               // kScalar
  std::vector<YamlNode> items;      // kSequence
  std::vector<YamlMember> members;  // kMapping, as written
};

struct YamlMember {
  std::string key;
  int line = 1;  // of the key
  int column = 1;
  YamlNode value;
};

// "a mapping", "a list", "a value", "nothing"
std::string_view KindName(YamlNode::Kind kind);

// What is wrong with a text, and where.
struct YamlFault {
  int line = 1;
  int column = 1;
  std::string text;
};

// Nothing, and `root` is the document; or why it is not one.  Where `repeated`
// is given, keys that come again are told there, and left out with their values,
// so that the rest can be looked at.
std::optional<YamlFault> ParseYaml(std::string_view text, YamlNode* root,
                                   std::vector<YamlFault>* repeated = nullptr);

}  // namespace mlos
