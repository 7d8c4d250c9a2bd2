// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/name.h"
#include "base/near_miss.h"
#include "cli/help.h"

namespace mlos::cli {
namespace {

std::string FirstWord(const Command& command) {
  return command.words.substr(0, command.words.find(' '));
}

std::string SecondWord(const Command& command) {
  const size_t space = command.words.find(' ');
  return space == std::string::npos ? std::string() : command.words.substr(space + 1);
}

Parsed Refuse(std::string text) {
  Parsed parsed;
  parsed.exit = kUsage;
  parsed.text = std::move(text);
  return parsed;
}

Parsed Show(std::string text) {
  Parsed parsed;
  parsed.text = std::move(text);
  return parsed;
}

// Where in `arguments` its first two words stand; options before them are
// passed over.
std::vector<size_t> WordsIn(const std::vector<std::string>& arguments) {
  std::vector<size_t> at;
  for (size_t i = 0; i < arguments.size() && at.size() < 2; ++i) {
    if (arguments[i] == "-o" || arguments[i] == "--output") {
      ++i;
    } else if (arguments[i].empty() || arguments[i][0] != '-') {
      at.push_back(i);
    }
  }
  return at;
}

// The word is none: which was meant?
Parsed UnknownCommand(const std::vector<Command>& commands, const std::string& group,
                      const std::string& word) {
  std::vector<std::string> known;
  std::string elsewhere;
  for (const Command& command : commands) {
    if (group.empty() || FirstWord(command) == group) {
      known.push_back(group.empty() ? FirstWord(command) : SecondWord(command));
    }
    if (group.empty() && SecondWord(command) == word) {
      elsewhere += (elsewhere.empty() ? "" : ", ") + ("mlos " + command.words);
    }
  }
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::string prefix = group.empty() ? "" : group + " ";
  std::string text = "mlos: there is no command " + Quoted(prefix + word);
  if (!elsewhere.empty()) {
    text += " (there are: " + elsewhere + ")";
  } else {
    text += DidYouMean(word, views);
  }
  return Refuse(text + "\nall commands: mlos " + prefix + "--help\n");
}

std::string Advice(const Command& command) {
  return "usage: " + command.Usage() + "\nfor example: " + command.examples.back() + "\n";
}

// The words of `--falg` that was not expected.
std::string UnknownFlag(const Command& command, const CLI::App& app) {
  const std::vector<std::string> remaining = app.remaining();
  if (remaining.empty()) return {};
  const std::string word = remaining.front().substr(0, remaining.front().find('='));
  std::vector<std::string_view> known{"--output", "--help"};
  for (const Flag& flag : command.flags) known.push_back(flag.name);
  if (word.empty() || word[0] != '-') {
    return "mlos " + command.words + ": " + Quoted(word) + " is one argument too many";
  }
  return "mlos " + command.words + ": there is no flag " + Quoted(word) + DidYouMean(word, known);
}

Parsed ParseRest(const Command& command, std::vector<std::string> rest) {
  CLI::App app;
  app.set_help_flag("");
  std::map<std::string, std::string> values;
  std::map<std::string, bool> switches;
  Parsed parsed;
  std::string output = "text";
  app.add_option("-o,--output", output)->check(CLI::IsMember({"text", "json"}));
  for (const Argument& argument : command.arguments) {
    app.add_option(argument.name, values[argument.name])->required(!argument.optional);
  }
  for (const Flag& flag : command.flags) {
    if (flag.placeholder.empty()) {
      const std::string letter = flag.letter == '\0' ? "" : std::string{'-', flag.letter} + ",";
      app.add_flag(letter + flag.name, switches[flag.name]);
    } else if (flag.repeats) {
      app.add_option(flag.name, parsed.invocation.inputs)->allow_extra_args(false);
    } else {
      app.add_option(flag.name, values[flag.name])->required(flag.required);
    }
  }
  std::reverse(rest.begin(), rest.end());  // as CLI11 wants it
  try {
    app.parse(std::move(rest));
  } catch (const CLI::ExtrasError&) {
    return Refuse(UnknownFlag(command, app) + "\n" + Advice(command));
  } catch (const CLI::ParseError& e) {
    return Refuse("mlos " + command.words + ": " + e.what() + "\n" + Advice(command));
  }
  parsed.run = true;
  parsed.invocation.command = &command;
  parsed.invocation.json = output == "json";
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    const std::string name =
        option->get_positional() ? option->get_name(true, false) : option->get_name(false, false);
    if (values.count(name) != 0) parsed.invocation.values[name] = values[name];
    if (switches.count(name) != 0 && switches[name]) parsed.invocation.values[name] = "true";
  }
  for (const Argument& argument : command.arguments) {
    const auto at = parsed.invocation.values.find(argument.name);
    if (at != parsed.invocation.values.end() && at->second.empty()) {
      return Refuse("mlos " + command.words + ": " + argument.name + " is empty\n" +
                    Advice(command));
    }
  }
  return parsed;
}

const Command* Find(const std::vector<Command>& commands, const std::string& words) {
  for (const Command& command : commands) {
    if (command.words == words) return &command;
  }
  return nullptr;
}

bool AsksForHelp(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "-h" || argument == "--help") return true;
  }
  return false;
}

}  // namespace

Parsed ParseArguments(const std::vector<Command>& commands,
                      const std::vector<std::string>& arguments) {
  const bool help = AsksForHelp(arguments);
  const std::vector<size_t> at = WordsIn(arguments);
  if (at.empty() || (help && arguments[at[0]] == "help")) {
    if (!at.empty() || help) return Show(HelpOnAll(commands));
    if (!arguments.empty() && arguments[0] == "--version") return Show(VersionText());
    return Refuse(HelpOnAll(commands));
  }
  const std::string& first = arguments[at[0]];
  if (first == "help") {
    std::vector<std::string> rest(arguments.begin() + static_cast<long>(at[0]) + 1,
                                  arguments.end());
    rest.emplace_back("--help");
    return ParseArguments(commands, rest);
  }
  const Command* command = Find(commands, first);
  size_t words = 1;
  if (command == nullptr) {
    const bool group = std::any_of(commands.begin(), commands.end(),
                                   [&](const Command& c) { return FirstWord(c) == first; });
    if (!group) return UnknownCommand(commands, "", first);
    if (at.size() == 1)
      return help ? Show(HelpOnGroup(commands, first)) : Refuse(HelpOnGroup(commands, first));
    command = Find(commands, first + " " + arguments[at[1]]);
    if (command == nullptr) return UnknownCommand(commands, first, arguments[at[1]]);
    words = 2;
  }
  std::vector<std::string> rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (i != at[0] && (words == 1 || i != at[1])) rest.push_back(arguments[i]);
  }
  if (IsForDaemon(command->action)) {
    Parsed parsed;
    parsed.run = true;
    parsed.invocation.command = command;
    parsed.invocation.rest = std::move(rest);
    return parsed;
  }
  if (help) return Show(HelpOn(*command));
  return ParseRest(*command, std::move(rest));
}

}  // namespace mlos::cli
