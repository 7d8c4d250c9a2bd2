// SPDX-License-Identifier: Apache-2.0
//
// --name VALUE, --name=VALUE, and --name alone for a boolean.  A parser of our
// own because the ones that exist stop at the first error.
#include <fmt/core.h>

#include <array>
#include <utility>

#include "base/log.h"
#include "base/name.h"
#include "base/near_miss.h"
#include "options/read.h"

namespace mlos::options {
namespace {

struct ActionFlag {
  std::string_view flag;
  Action action;
};
constexpr ActionFlag kActions[] = {
    {"--help", Action::kHelp},       {"-h", Action::kHelp},
    {"--version", Action::kVersion}, {"--print-config", Action::kPrintConfig},
    {"--manual", Action::kManual},   {"--manual=markdown", Action::kManualMarkdown},
};

const Row* Find(std::string_view name) {
  for (const Row& row : Table()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

bool IsFlag(std::string_view argument) { return argument.substr(0, 2) == "--"; }

std::string Unknown(std::string_view flag) {
  std::vector<std::string> known;
  for (const Row& row : Table()) known.push_back("--" + std::string(row.name));
  for (const ActionFlag& action : kActions) known.emplace_back(action.flag);
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::string meant = DidYouMean(flag, views);
  return "there is no such option" + (meant.empty() ? "; --help lists them" : meant);
}

class CommandLine {
 public:
  CommandLine(const std::vector<std::string>& arguments, Reading* reading)
      : arguments_(arguments), reading_(reading) {}

  void Read() {
    while (at_ < arguments_.size()) {
      const std::string_view argument = arguments_[at_++];
      if (TakeAction(argument)) continue;
      if (IsFlag(argument) && argument.size() > 2) {
        TakeFlag(argument);
      } else {
        Fail(Quoted(argument), "is no option; --help lists them");
      }
    }
  }

 private:
  bool TakeAction(std::string_view argument) {
    for (const ActionFlag& known : kActions) {
      if (argument != known.flag) continue;
      if (reading_->action == Action::kRun) reading_->action = known.action;
      return true;
    }
    return false;
  }

  void TakeFlag(std::string_view argument) {
    const size_t equals = argument.find('=');
    const std::string_view flag = argument.substr(0, equals);
    const Row* row = Find(flag.substr(2));
    const bool next_is_value = at_ < arguments_.size() && !IsFlag(arguments_[at_]);
    if (row == nullptr) {
      Fail(flag.size() > 80 ? Quoted(flag) : std::string(flag), Unknown(flag));
      if (equals == std::string_view::npos && next_is_value) ++at_;  // its value, most likely
      return;
    }
    if (equals != std::string_view::npos) return Set(*row, argument.substr(equals + 1));
    if (row->type == Type::kBoolean) return Set(*row, "true");
    if (!next_is_value) {
      reading_->settings.at(row->id).good = false;
      return Fail(flag, "has no value: give " + Allowed(*row));
    }
    Set(*row, arguments_[at_++]);
  }

  void Set(const Row& row, std::string_view text) {
    const std::string flag = "--" + std::string(row.name);
    const bool again = std::exchange(seen_[static_cast<size_t>(row.id)], true);
    if (again && !IsList(row.type)) return Fail(flag, "is given more than once: give it once");
    Setting& setting = reading_->settings.at(row.id);
    if (!again) setting.Begin(row, Origin::kFlag);
    const std::string wrong = setting.Add(row, text);
    if (!wrong.empty()) Fail(flag, wrong);
  }

  void Fail(std::string_view source, std::string_view text) {
    reading_->faults.push_back({EscapeForLog(source), std::string(text)});
  }

  const std::vector<std::string>& arguments_;
  Reading* reading_;
  size_t at_ = 0;
  std::array<bool, static_cast<size_t>(Id::kCount)> seen_ = {};
};

}  // namespace

void ReadCommandLine(const std::vector<std::string>& arguments, Reading* reading) {
  CommandLine(arguments, reading).Read();
}

}  // namespace mlos::options
