// SPDX-License-Identifier: Apache-2.0
//
// Every command of mlos: those of the operations table, and the few that are
// more than one request.  Parsing, help, completion and the manual go through
// this list.  Values; one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operations/operations.h"

namespace mlos::cli {

enum class Action { kOperation, kLogs, kInfer, kTop, kServe, kConfig, kCompletion, kManual };

// Everything behind these is for mlosd.
constexpr bool IsForDaemon(Action action) {
  return action == Action::kServe || action == Action::kConfig;
}

struct Argument {
  std::string name;  // "VERSION"
  bool optional = false;
};

struct Flag {
  std::string name;         // "--version"
  std::string placeholder;  // "VERSION"; empty: a switch
  std::string help;
  bool required = false;
  bool repeats = false;
  char letter = '\0';  // "-f", if it has one

  // "-f, --follow", "--version VERSION"
  std::string Form() const;
};

struct Command {
  std::string words;  // "plugin show"
  Action action = Action::kOperation;
  std::vector<const operations::OperationRow*> rows;  // fewest arguments first
  std::vector<Argument> arguments;
  std::vector<Flag> flags;
  std::string help;
  std::vector<std::string> notes;  // further lines of help
  std::vector<std::string> examples;

  // "mlos plugin show NAME [VERSION]"
  std::string Usage() const;
};

// In the order of the manual.
std::vector<Command> Commands();
// Those that every command takes.
std::vector<Flag> CommonFlags();

// "--no-wait" and so on.
std::string FlagName(const operations::Field& field);
// "VERSION", "JSON|@FILE"; empty for a switch.
std::string FlagPlaceholder(const operations::Field& field);

struct ExitCode {
  int code;
  std::string_view help;
};
inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;
inline constexpr int kUsage = 2;
inline constexpr int kUnreachable = 3;
inline constexpr int kNotFound = 4;
std::vector<ExitCode> ExitCodes();

struct Variable {
  std::string_view name;
  std::string_view help;
};
std::vector<Variable> Variables();

}  // namespace mlos::cli
