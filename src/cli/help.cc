// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <algorithm>

#include "cli/terminal.h"

namespace mlos::cli {
namespace {

constexpr size_t kColumns = 80;

// `text` in lines of at most kColumns, all but the first indented.
std::string Wrapped(std::string_view text, size_t indent) {
  std::string out;
  size_t column = indent;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    if (column > indent && column + 1 + Width(word) > kColumns) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += Width(word);
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string Listing(const Pairs& pairs) {
  size_t width = 0;
  for (const auto& [name, text] : pairs) {
    if (name.size() <= 24) width = std::max(width, name.size());
  }
  std::string out;
  for (const auto& [name, text] : pairs) {
    const size_t indent = width + 4;
    std::string line = "  " + name;
    if (name.size() > width) {
      line += "\n" + std::string(indent, ' ');
    } else {
      line += std::string(indent - line.size(), ' ');
    }
    out += line + Wrapped(text, indent) + "\n";
  }
  return out;
}

Pairs FlagPairs(const std::vector<Flag>& flags) {
  Pairs pairs;
  for (const Flag& flag : flags) {
    std::string help = flag.help;
    if (flag.required) help += " (must be given)";
    if (flag.repeats) help += " (may be repeated)";
    pairs.emplace_back(flag.Form(), help);
  }
  return pairs;
}

// What each positional argument is, where the table tells.
Pairs ArgumentPairs(const Command& command) {
  Pairs pairs;
  for (const operations::OperationRow* row : command.rows) {
    for (const operations::Field& field : row->fields) {
      if (field.cli != operations::CliForm::kPositional) continue;
      std::string name(field.name);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
      pairs.emplace_back(name, field.help);
    }
  }
  return pairs;
}

Pairs CommandPairs(const std::vector<Command>& commands, std::string_view group) {
  Pairs pairs;
  for (const Command& command : commands) {
    const std::string_view first =
        std::string_view(command.words).substr(0, command.words.find(' '));
    if (!group.empty() && first != group) continue;
    std::string form = command.words;
    for (const Argument& argument : command.arguments) {
      form += argument.optional ? " [" + argument.name + "]" : " " + argument.name;
    }
    pairs.emplace_back(form, command.help);
  }
  return pairs;
}

}  // namespace

std::string VersionText() { return std::string("mlos ") + MLOS_VERSION + "\n"; }

std::string HelpOnAll(const std::vector<Command>& commands) {
  std::string out =
      "mlos: talks to mlosd, which runs machine-learning models as an operating system\n"
      "runs processes.\n\nCommands (mlos COMMAND --help tells more):\n";
  out += Listing(CommandPairs(commands, ""));
  out += "\nFlags:\n" + Listing(FlagPairs(CommonFlags()));
  Pairs variables;
  for (const Variable& v : Variables()) variables.emplace_back(v.name, v.help);
  out += "\nEnvironment:\n" + Listing(variables);
  Pairs codes;
  for (const ExitCode& c : ExitCodes()) codes.emplace_back(std::to_string(c.code), c.help);
  return out + "\nExit status:\n" + Listing(codes);
}

std::string HelpOnGroup(const std::vector<Command>& commands, std::string_view group) {
  std::string out = "Commands (mlos " + std::string(group) + " COMMAND --help tells more):\n";
  return out + Listing(CommandPairs(commands, group));
}

std::string HelpOn(const Command& command) {
  std::string out = Wrapped(command.Usage(), 8) + "\n\n" + Wrapped(command.help + ".", 0) + "\n";
  for (const std::string& note : command.notes) out += Wrapped(note, 0) + "\n";
  const Pairs arguments = ArgumentPairs(command);
  if (!arguments.empty()) out += "\nArguments:\n" + Listing(arguments);
  Pairs flags = FlagPairs(command.flags);
  if (!IsForDaemon(command.action)) {
    for (const auto& pair : FlagPairs(CommonFlags())) flags.push_back(pair);
  }
  if (!flags.empty()) out += "\nFlags:\n" + Listing(flags);
  out += "\nExamples:\n";
  for (const std::string& example : command.examples) out += "  " + example + "\n";
  return out;
}

}  // namespace mlos::cli
