// SPDX-License-Identifier: Apache-2.0
//
// Completion scripts, made from the commands.
#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cli/help.h"

namespace mlos::cli {
namespace {

struct Word {
  std::string word;
  std::string help;
};

// What may follow the words `before` ("" or "plugin").
std::vector<Word> WordsAfter(const std::vector<Command>& commands, const std::string& before) {
  std::vector<Word> words;
  const std::string prefix = before.empty() ? "" : before + " ";
  for (const Command& command : commands) {
    if (command.words.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string rest = command.words.substr(prefix.size());
    const std::string word = rest.substr(0, rest.find(' '));
    const bool known =
        std::any_of(words.begin(), words.end(), [&](const Word& w) { return w.word == word; });
    if (known) continue;
    const bool group = rest.size() != word.size();
    words.push_back({word, group ? "Commands on a " + word : command.help});
  }
  return words;
}

std::vector<Word> FlagsOf(const Command& command) {
  std::vector<Word> words;
  for (const Flag& flag : command.flags) words.push_back({flag.name, flag.help});
  words.push_back({"--output", "text or json"});
  words.push_back({"--help", "Help on this command"});
  if (command.action == Action::kCompletion) {
    for (const char* shell : {"bash", "zsh", "fish"}) words.push_back({shell, "This shell"});
  }
  return words;
}

std::vector<std::string> Groups(const std::vector<Command>& commands) {
  std::vector<std::string> groups;
  for (const Command& command : commands) {
    const size_t space = command.words.find(' ');
    if (space == std::string::npos) continue;
    const std::string group = command.words.substr(0, space);
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  }
  return groups;
}

// Every state of the line, as what stands before, and what may come then.
using State = std::pair<std::string, std::vector<Word>>;
std::vector<State> States(const std::vector<Command>& commands) {
  std::vector<State> states{{"", WordsAfter(commands, "")}};
  for (const std::string& group : Groups(commands)) {
    states.emplace_back(group, WordsAfter(commands, group));
  }
  for (const Command& command : commands) {
    if (!IsForDaemon(command.action)) states.emplace_back(command.words, FlagsOf(command));
  }
  return states;
}

// Within single quotes of a shell, and for zsh with its separator escaped.
std::string Quoted(const std::string& text, bool escape_colon = false) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == ':' && escape_colon) {
      out += "\\:";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Bash(const std::vector<Command>& commands) {
  std::string out =
      "# bash completion for mlos\n"
      "_mlos() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} words=() choices='' i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case ${COMP_WORDS[i]} in\n"
      "      -o | --output) ((i++)) ;;\n"
      "      -*) ;;\n"
      "      *) words+=(\"${COMP_WORDS[i]}\") ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"${words[0]} ${words[1]}\" in\n";
  const std::vector<State> states = States(commands);
  const std::vector<std::string> groups = Groups(commands);
  for (const auto& [before, words] : states) {
    std::string choices;
    for (const Word& word : words) choices += (choices.empty() ? "" : " ") + word.word;
    const bool group = std::find(groups.begin(), groups.end(), before) != groups.end();
    const bool single = before.find(' ') == std::string::npos && !group && !before.empty();
    // The two words with a blank between; one word, or none, has it behind it.
    const char* const rest = single ? " '*" : before.empty() || group ? " '" : "'";
    out += fmt::format("    '{}{}) choices='{}' ;;\n", before, rest, choices);
  }
  return out +
         "  esac\n"
         "  ((${#words[@]} == 0)) ||\n"
         "    choices+=\" $(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD-1}\" "
         "2> /dev/null)\"\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$current\")\n"
         "}\n"
         "complete -o default -F _mlos mlos\n";
}

std::string Zsh(const std::vector<Command>& commands) {
  std::string out =
      "#compdef mlos\n"
      "_mlos() {\n"
      "  local -a before choices\n"
      "  local i\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    case ${words[i]} in\n"
      "      (-o|--output) ((i++)) ;;\n"
      "      (-*) ;;\n"
      "      (*) before+=(${words[i]}) ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"${(j: :)before[1,2]}\" in\n";
  const std::vector<std::string> groups = Groups(commands);
  for (const auto& [before, words] : States(commands)) {
    const bool exact = before.empty() || before.find(' ') != std::string::npos ||
                       std::find(groups.begin(), groups.end(), before) != groups.end();
    out += "    '" + before + "'" + (exact ? "" : "*") + ") choices=(";
    for (const Word& word : words) {
      out += "\n      '" + Quoted(word.word, true) + ":" + Quoted(word.help, true) + "'";
    }
    out += ") ;;\n";
  }
  return out +
         "  esac\n"
         "  (( $#before )) &&\n"
         "    choices+=(${(f)\"$(${words[1]} __complete ${words[2,CURRENT-1]} 2> /dev/null)\"})\n"
         "  _describe mlos choices\n"
         "  _files\n"
         "}\n"
         "if [[ $funcstack[1] == _mlos ]]; then _mlos \"$@\"; else compdef _mlos mlos; fi\n";
}

std::string Fish(const std::vector<Command>& commands) {
  std::string out = "# fish completion for mlos\n";
  for (const Word& word : WordsAfter(commands, "")) {
    out += "complete -c mlos -n __fish_use_subcommand -a " + word.word + " -d '" +
           Quoted(word.help) + "'\n";
  }
  for (const Command& command : commands) {
    const size_t space = command.words.find(' ');
    const std::string first = command.words.substr(0, space);
    std::string seen = "__fish_seen_subcommand_from " + first;
    if (space != std::string::npos) {
      const std::string second = command.words.substr(space + 1);
      std::string others;
      for (const Word& word : WordsAfter(commands, first)) others.append(" ").append(word.word);
      out += fmt::format(
          "complete -c mlos -n '{}; and not __fish_seen_subcommand_from{}' -a {} -d '{}'\n", seen,
          others, second, Quoted(command.help));
      seen += "; and __fish_seen_subcommand_from " + second;
    }
    for (const Flag& flag : command.flags) {
      const std::string letter = flag.letter == '\0' ? "" : std::string(" -s ") + flag.letter;
      out += fmt::format("complete -c mlos -n '{}'{} -l {}{} -d '{}'\n", seen, letter,
                         flag.name.substr(2), flag.placeholder.empty() ? "" : " -r",
                         Quoted(flag.help));
    }
    if (command.action == Action::kCompletion) {
      out += "complete -c mlos -n '" + seen + "' -a 'bash zsh fish'\n";
    }
  }
  out += "complete -c mlos -a '(mlos __complete (commandline -opc)[2..-1] 2> /dev/null)'\n";
  return out + "complete -c mlos -s o -l output -x -a 'text json' -d 'How to print answers'\n";
}

}  // namespace

StatusOr<std::string> CompletionScript(const std::vector<Command>& commands,
                                       std::string_view shell) {
  if (shell == "bash") return Bash(commands);
  if (shell == "zsh") return Zsh(commands);
  if (shell == "fish") return Fish(commands);
  return InvalidArgument("there is completion for bash, zsh and fish only");
}

}  // namespace mlos::cli
