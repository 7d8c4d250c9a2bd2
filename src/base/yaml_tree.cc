// SPDX-License-Identifier: Apache-2.0
#include "base/yaml_tree.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <exception>
#include <optional>
#include <sstream>
#include <utility>

#include "base/name.h"

namespace mlos {
namespace {

constexpr size_t kMaxDepth = 8;
constexpr size_t kMaxNodes = 4096;

YamlFault At(const YAML::Mark& mark, std::string text) {
  if (mark.is_null()) return {1, 1, std::move(text)};
  return {mark.line + 1, mark.column + 1, std::move(text)};
}

// Receives yaml-cpp's events.  After the first fault all further events are
// ignored: the input is bounded, so the rest of it costs little, and throwing
// through a foreign parser is not needed.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::vector<YamlFault>* repeated) : repeated_(repeated) {}

  std::optional<YamlFault> Take(YamlNode* root) {
    if (fault_) return fault_;
    if (!root_) return YamlFault{1, 1, "the file is empty"};
    *root = std::move(*root_);
    return {};
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    Fail(mark, fmt::format("anchor {}; anchors and aliases are not accepted, write the value out",
                           Quoted("&" + name)));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "an alias ('*…'); anchors and aliases are not accepted, write the value out");
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Begin(mark, "", YamlNode::Kind::kNull);
    End();
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    // yaml-cpp gives quoted scalars the tag "!".
    YamlNode* node = Begin(mark, tag == "!" ? "" : tag, YamlNode::Kind::kScalar);
    if (node == nullptr) return;
    node->scalar = value;
    End();
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Begin(mark, tag, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Begin(mark, tag, YamlNode::Kind::kMapping);
  }
  void OnMapEnd() override { End(); }

 private:
  // A collection or scalar under construction; `key` waits for its value.
  struct Frame {
    YamlNode node;
    std::optional<YamlMember> key;
    bool again = false;  // the key was there: its value is left out
  };

  void Fail(const YAML::Mark& mark, std::string text) {
    if (!fault_) fault_ = At(mark, std::move(text));
  }

  YamlNode* Begin(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
    if (fault_) return nullptr;
    if (!tag.empty() && tag != "?") {
      Fail(mark, fmt::format("tag {}; tags are not accepted", Quoted(tag)));
    } else if (stack_.size() >= kMaxDepth) {
      Fail(mark, fmt::format("more than {} levels of nesting", kMaxDepth));
    } else if (++nodes_ > kMaxNodes) {
      Fail(mark, fmt::format("more than {} values", kMaxNodes));
    }
    if (fault_) return nullptr;
    Frame frame;
    frame.node.kind = kind;
    if (!mark.is_null()) {
      frame.node.line = mark.line + 1;
      frame.node.column = mark.column + 1;
    }
    stack_.push_back(std::move(frame));
    return &stack_.back().node;
  }

  void End() {
    if (fault_) return;
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    if (stack_.empty()) {
      root_ = std::move(node);
    } else if (stack_.back().node.kind == YamlNode::Kind::kSequence) {
      stack_.back().node.items.push_back(std::move(node));
    } else {
      AddToMapping(&stack_.back(), std::move(node));
    }
  }

  // Key and value of a mapping come as two nodes in turn.
  void AddToMapping(Frame* mapping, YamlNode node) {
    if (mapping->key) {
      mapping->key->value = std::move(node);
      if (!std::exchange(mapping->again, false)) {
        mapping->node.members.push_back(std::move(*mapping->key));
      }
      mapping->key.reset();
      return;
    }
    if (node.kind != YamlNode::Kind::kScalar) {
      fault_ = YamlFault{node.line, node.column, "a key must be plain text"};
      return;
    }
    for (const YamlMember& member : mapping->node.members) {
      if (member.key == node.scalar) {
        YamlFault again{node.line, node.column,
                        fmt::format("key {} again (first on line {}); remove one",
                                    Quoted(member.key), member.line)};
        if (repeated_ == nullptr) {
          fault_ = std::move(again);
          return;
        }
        repeated_->push_back(std::move(again));
        mapping->again = true;
        break;
      }
    }
    mapping->key = YamlMember{std::move(node.scalar), node.line, node.column, {}};
  }

  std::vector<YamlFault>* const repeated_;
  std::vector<Frame> stack_;
  std::optional<YamlNode> root_;
  std::optional<YamlFault> fault_;
  size_t nodes_ = 0;
};

}  // namespace

std::string_view KindName(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "a value";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMapping:
      return "a mapping";
  }
  return "nothing";
}

std::optional<YamlFault> ParseYaml(std::string_view text, YamlNode* root,
                                   std::vector<YamlFault>* repeated) {
  if (text.find('\0') != std::string_view::npos) {
    return YamlFault{1, 1, "the file is not text: it contains a zero byte; write it in UTF-8"};
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(repeated);
    if (!parser.HandleNextDocument(builder)) return YamlFault{1, 1, "the file is empty"};
    if (std::optional<YamlFault> fault = builder.Take(root)) return fault;
    TreeBuilder further(nullptr);
    if (parser.HandleNextDocument(further)) {
      return YamlFault{1, 1, "a second document after '---'; the file is one document"};
    }
    return {};
  } catch (const YAML::Exception& e) {
    return At(e.mark, fmt::format("not valid YAML: {}", e.msg));
  } catch (const std::exception& e) {
    return YamlFault{1, 1, fmt::format("not valid YAML: {}", e.what())};
  }
}

}  // namespace mlos
