// SPDX-License-Identifier: Apache-2.0
//
// A flat YAML mapping from options' names to values.
#include <fmt/core.h>

#include "base/log.h"
#include "base/name.h"
#include "base/near_miss.h"
#include "base/yaml_tree.h"
#include "options/read.h"

namespace mlos::options {
namespace {

using Kind = YamlNode::Kind;

class ConfigFile {
 public:
  ConfigFile(std::string_view name, Reading* reading) : name_(name), reading_(reading) {
    for (const Row& row : Table()) {
      if (row.in_file) known_.push_back(row.name);
    }
  }

  void Read(std::string_view text) {
    YamlNode root;
    if (IsBlank(text)) return;
    std::vector<YamlFault> repeated;
    const auto fault = ParseYaml(text, &root, &repeated);
    for (const YamlFault& again : repeated) {
      Fail(again.line, again.column, EscapeForLog(again.text));
    }
    if (fault) return Fail(fault->line, fault->column, EscapeForLog(fault->text));
    if (root.kind == Kind::kNull) return;
    if (root.kind != Kind::kMapping) {
      return Fail(root.line, root.column,
                  fmt::format("the file is {}: write lines such as 'log-level: info'",
                              KindName(root.kind)));
    }
    for (const YamlMember& member : root.members) ReadMember(member);
  }

 private:
  // A file with nothing but comments sets nothing: no error.
  static bool IsBlank(std::string_view text) {
    bool comment = false;
    for (const char c : text) {
      if (c == '\n') comment = false;
      if (c == '#') comment = true;
      if (!comment && c != ' ' && c != '\n' && c != '\r') return false;
    }
    return true;
  }

  void ReadMember(const YamlMember& member) {
    for (const Row& row : Table()) {
      if (row.name != member.key) continue;
      if (row.in_file) return Set(row, member.value);
      return Fail(member.line, member.column,
                  fmt::format("'{}' cannot stand in the file: use --{} or {}", row.name, row.name,
                              EnvironmentName(row.name)));
    }
    const std::string meant = DidYouMean(member.key, known_);
    Fail(member.line, member.column,
         fmt::format("there is no option {}{}", Quoted(member.key),
                     meant.empty() ? "; mlosd --help lists them" : meant));
  }

  void Set(const Row& row, const YamlNode& node) {
    Setting& setting = reading_->settings.at(row.id);
    setting.Begin(row, Origin::kFile);
    setting.place = Place(node.line, node.column);
    if (node.kind == Kind::kScalar) return Add(row, node, &setting);
    if (node.kind != Kind::kSequence || !IsList(row.type)) {
      setting.good = false;
      return Fail(node.line, node.column,
                  fmt::format("{} is {}: give {}", row.name, KindName(node.kind), Allowed(row)));
    }
    for (const YamlNode& item : node.items) {
      if (item.kind == Kind::kScalar) {
        Add(row, item, &setting);
      } else {
        setting.good = false;
        Fail(item.line, item.column,
             fmt::format("an item of {} is {}: give {}", row.name, KindName(item.kind),
                         Allowed(row)));
      }
    }
  }

  void Add(const Row& row, const YamlNode& node, Setting* setting) {
    const std::string wrong = setting->Add(row, node.scalar);
    if (!wrong.empty()) Fail(node.line, node.column, fmt::format("{} {}", row.name, wrong));
  }

  std::string Place(int line, int column) const {
    return fmt::format("{}:{}:{}", name_, line, column);
  }
  void Fail(int line, int column, std::string text) {
    reading_->faults.push_back({Place(line, column), std::move(text)});
  }

  const std::string_view name_;
  Reading* reading_;
  std::vector<std::string_view> known_;
};

}  // namespace

void ReadConfigText(std::string_view name, std::string_view text, Reading* reading) {
  ConfigFile(name, reading).Read(text);
}

}  // namespace mlos::options
