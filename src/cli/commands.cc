// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <algorithm>

#include "operations/table_check.h"

namespace mlos::cli {
namespace {

using operations::OperationRow;

constexpr std::string_view kHighest =
    "Without VERSION: the highest that is registered; mlos says which.";
constexpr std::string_view kActive =
    "Without VERSION: the one that models run on, else the highest that is registered; mlos says "
    "which.";
constexpr std::string_view kOnly =
    "Without VERSION: the only one that is registered; where there are more, name one.";

std::string UpperCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

std::string LowerFirst(std::string text) {
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] + 32);
  return text;
}

bool HasFlag(const Command& command, std::string_view name) {
  return std::any_of(command.flags.begin(), command.flags.end(),
                     [name](const Flag& flag) { return flag.name == name; });
}

void AddRow(const OperationRow& row, Command* command) {
  command->rows.push_back(&row);
  std::string help(row.help);
  if (!command->help.empty()) help = "; " + LowerFirst(help);
  command->help += help;
  command->examples.emplace_back(row.example);
  size_t position = 0;
  for (size_t i = 0; i < operations::CountPieces(row.cli, ' '); ++i) {
    std::string_view word = operations::Piece(row.cli, ' ', i);
    if (!operations::IsArgument(word)) continue;
    const bool bracketed = word[0] == '[';
    if (bracketed) {
      word = word.substr(1, word.size() - 2);
      const bool removes = row.http_method == "DELETE";
      const bool plugin = row.permission.resource == operations::Resource::kPlugins;
      command->notes.emplace_back(removes ? kOnly : plugin ? kActive : kHighest);
    }
    // What only the longer of two rows has may be left out.
    const bool optional = bracketed || command->rows.size() > 1;
    if (position == command->arguments.size()) {
      command->arguments.push_back({std::string(word), optional});
    }
    ++position;
  }
  for (const operations::Field& field : row.fields) {
    if (field.cli != operations::CliForm::kFlag || HasFlag(*command, FlagName(field))) continue;
    Flag flag{FlagName(field), FlagPlaceholder(field), std::string(field.help), field.required()};
    command->flags.push_back(std::move(flag));
  }
  if (row.can_wait() && !HasFlag(*command, "--no-wait")) {
    command->flags.push_back({"--no-wait", "", "Do not wait until it is done", false});
  }
}

void AddOperations(std::vector<Command>* commands) {
  std::vector<const OperationRow*> rows;
  for (const OperationRow& row : operations::Operations()) rows.push_back(&row);
  std::stable_sort(rows.begin(), rows.end(), [](const OperationRow* a, const OperationRow* b) {
    return operations::CountArguments(a->cli) < operations::CountArguments(b->cli);
  });
  for (const OperationRow& in_order : operations::Operations()) {
    const std::string_view words = operations::CommandWords(in_order.cli);
    const bool known = std::any_of(commands->begin(), commands->end(),
                                   [&](const Command& c) { return c.words == words; });
    if (known) continue;
    Command& command = commands->emplace_back();
    command.words = words;
    for (const OperationRow* row : rows) {
      if (operations::CommandWords(row->cli) == words) AddRow(*row, &command);
    }
  }
}

// Lines of a log can be read as they come.
void AddFollow(Command* command) {
  command->action = Action::kLogs;
  Flag follow{"--follow", "", "Go on with what is logged from now on, until interrupted"};
  follow.letter = 'f';
  command->flags.push_back(std::move(follow));
  command->notes.emplace_back(
      "Times are local. --follow looks twice a second, and ends with status 3 when the daemon goes "
      "away; with -o json it prints one body on each line, where there is something new.");
  command->notes.emplace_back(
      "Lines are numbered: where some were dropped before they could be read, mlos says so on "
      "standard error.");
  command->examples.emplace_back("mlos logs --follow --tail 0");
}

Command Infer() {
  Command command;
  command.words = "infer";
  command.action = Action::kInfer;
  command.arguments = {{"NAME", false}};
  command.flags = {
      {"--version", "VERSION", "The model's version; the newest ready one unless given", false},
      {"--json", "FILE|-", "Send this request, as POST /v2/models/NAME/infer takes it", false},
      {"--input", "T=JSON|T=@FILE.npy",
       "The value of input T: JSON, or an array that NumPy saved; once for each input", false,
       true}};
  command.help = "Run a model once and print its outputs";
  command.notes = {
      "Datatypes come from the model; the shape is that of the JSON value or of the array, and a "
      "flat list is given the model's shape where that leaves one choice.",
      "Arrays may have any datatype of the protocol, bfloat16 included, either byte order, and "
      "strings (S, U). Their datatype must be the model's."};
  command.examples = {"mlos infer digits --json examples/digits/request.json",
                      "mlos infer sum --input 'X=[[1, 2], [3, 4]]' --input Y=@y.npy -o json"};
  return command;
}

Command Top() {
  Command command;
  command.words = "top";
  command.action = Action::kTop;
  command.flags = {{"--interval", "SECONDS", "Between two looks; 2 unless given", false}};
  command.help =
      "The daemon, its plugin hosts and what models are doing, refreshed until interrupted";
  command.notes = {
      "Requests a second and times are those since the look before; in the first one, times are "
      "those since the start. The busiest models come first.",
      "Where standard output is no terminal it looks once."};
  command.examples = {"mlos top --interval 1"};
  return command;
}

Command Serve() {
  Command command;
  command.words = "serve";
  command.action = Action::kServe;
  command.arguments = {{"FLAGS", true}};
  command.help = "Run the daemon in the foreground: mlosd with the flags given here";
  command.notes = {"mlos serve --help shows the flags of mlosd."};
  command.examples = {"mlos serve --auth off --http-address 127.0.0.1:8080"};
  return command;
}

Command Config() {
  Command command;
  command.words = "config";
  command.action = Action::kConfig;
  command.arguments = {{"FLAGS", true}};
  command.help = "Print the configuration that mlosd would run with, and where each value is from";
  command.notes = {
      "It is made of the flags given here, the environment, the file that --config names, and the "
      "defaults. What is printed can be used as that file."};
  command.examples = {"mlos config --config /etc/mlos/mlosd.yaml"};
  return command;
}

Command Completion() {
  Command command;
  command.words = "completion";
  command.action = Action::kCompletion;
  command.arguments = {{"SHELL", false}};
  command.help = "Print the completion script for a shell: bash, zsh or fish";
  command.examples = {"mlos completion bash > /etc/bash_completion.d/mlos"};
  return command;
}

Command Manual() {
  Command command;
  command.words = "manual";
  command.action = Action::kManual;
  command.flags = {
      {"--markdown", "", "As docs/cli.md has it", false},
      {"--http", "", "The management routes, as docs/management-http.md has them", false},
      {"--proto", "", "The same for gRPC, as proto/mlos/v1/management.proto has them", false}};
  command.help = "Print the manual page of mlos";
  command.examples = {"mlos manual | man -l -"};
  return command;
}

}  // namespace

std::string FlagName(const operations::Field& field) {
  std::string name = "--" + std::string(field.name);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string FlagPlaceholder(const operations::Field& field) {
  if (field.type == operations::Type::kBoolean) return {};
  if (field.type == operations::Type::kObject) return "JSON|@FILE";
  return UpperCase(field.name);
}

std::string Flag::Form() const {
  std::string form = letter == '\0' ? name : std::string{'-', letter} + ", " + name;
  return placeholder.empty() ? form : form + " " + placeholder;
}

std::string Command::Usage() const {
  std::string out = "mlos " + words;
  for (const Argument& argument : arguments) {
    out += argument.optional ? " [" + argument.name + "]" : " " + argument.name;
  }
  for (const Flag& flag : flags) {
    const std::string form = flag.name + (flag.placeholder.empty() ? "" : " " + flag.placeholder);
    out += (flag.required ? " " + form : " [" + form + "]") + (flag.repeats ? "..." : "");
  }
  return out;
}

std::vector<Command> Commands() {
  std::vector<Command> commands;
  AddOperations(&commands);
  for (Command& command : commands) {
    if (command.rows.front()->answers == operations::ObjectKind::kLogLines) AddFollow(&command);
  }
  commands.push_back(Infer());
  commands.push_back(Top());
  commands.push_back(Serve());
  commands.push_back(Config());
  commands.push_back(Completion());
  commands.push_back(Manual());
  return commands;
}

std::vector<Flag> CommonFlags() {
  return {
      {"-o, --output", "FORMAT",
       "text, or json: exactly the body that the daemon answered, errors on standard error", false},
      {"-h, --help", "", "Help on mlos or on a command", false}};
}

std::vector<ExitCode> ExitCodes() {
  return {{kDone, "done"},
          {kRefused, "refused: the daemon answered with an error"},
          {kUsage, "usage: there is no such command, or its arguments are wrong"},
          {kUnreachable, "unreachable: no daemon answers, or something of this machine failed"},
          {kNotFound, "not found: there is no such plugin, model or version"}};
}

std::vector<Variable> Variables() {
  return {{"MLOS_HOST",
           "where the daemon is: http://HOST:PORT or unix:///PATH, for gRPC grpc://HOST:PORT or "
           "grpc+unix:///PATH; without it the local socket if there is one, else "
           "http://127.0.0.1:8080"},
          {"MLOS_TOKEN", "the token that is sent with every request"},
          {"NO_COLOR", "if set and not empty, nothing is coloured"}};
}

}  // namespace mlos::cli
