// SPDX-License-Identifier: Apache-2.0
#include "manifest/yaml_tree.h"

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

Status AtLine(int line, std::string_view text) {
  return InvalidArgument(fmt::format("line {}: {}", line, text));
}

int LineOf(const YAML::Mark& mark) { return mark.is_null() ? 1 : mark.line + 1; }

// Receives yaml-cpp's events.  After the first fault all further events are
// ignored: the input is bounded, so the rest of it costs little, and throwing
// through a foreign parser is not needed.
class TreeBuilder : public YAML::EventHandler {
 public:
  StatusOr<YamlNode> Take() {
    if (!fault_.ok()) return fault_;
    if (!root_) return AtLine(1, "the file is empty");
    return std::move(*root_);
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
    std::optional<std::string> key;
  };

  void Fail(const YAML::Mark& mark, std::string_view text) {
    if (fault_.ok()) fault_ = AtLine(LineOf(mark), text);
  }

  YamlNode* Begin(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
    if (!fault_.ok()) return nullptr;
    if (!tag.empty() && tag != "?") {
      Fail(mark, fmt::format("tag {}; tags are not accepted", Quoted(tag)));
    } else if (stack_.size() >= kMaxDepth) {
      Fail(mark, fmt::format("more than {} levels of nesting", kMaxDepth));
    } else if (++nodes_ > kMaxNodes) {
      Fail(mark, fmt::format("more than {} values", kMaxNodes));
    }
    if (!fault_.ok()) return nullptr;
    Frame frame;
    frame.node.kind = kind;
    frame.node.line = LineOf(mark);
    stack_.push_back(std::move(frame));
    return &stack_.back().node;
  }

  void End() {
    if (!fault_.ok()) return;
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
      mapping->node.members.push_back({std::move(*mapping->key), std::move(node)});
      mapping->key.reset();
      return;
    }
    if (node.kind != YamlNode::Kind::kScalar) {
      fault_ = AtLine(node.line, "a key must be plain text");
      return;
    }
    for (const auto& [key, value] : mapping->node.members) {
      if (key == node.scalar) {
        fault_ = AtLine(node.line, fmt::format("key {} again (first on line {}); remove one",
                                               Quoted(key), value.line));
        return;
      }
    }
    mapping->key = std::move(node.scalar);
  }

  std::vector<Frame> stack_;
  std::optional<YamlNode> root_;
  Status fault_ = OkStatus();
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

StatusOr<YamlNode> ParseYaml(std::string_view text) {
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return AtLine(1, "the file is not text: it contains a zero byte; write it in UTF-8");
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder;
    if (!parser.HandleNextDocument(builder)) return AtLine(1, "the file is empty");
    StatusOr<YamlNode> tree = builder.Take();
    if (!tree.ok()) return tree;
    TreeBuilder further;
    if (parser.HandleNextDocument(further)) {
      return InvalidArgument("a second document after '---'; a manifest is one document");
    }
    return tree;
  } catch (const YAML::Exception& e) {
    return AtLine(LineOf(e.mark), fmt::format("not valid YAML: {}", e.msg));
  } catch (const std::exception& e) {
    return InvalidArgument(fmt::format("not valid YAML: {}", e.what()));
  }
}

}  // namespace mlos
