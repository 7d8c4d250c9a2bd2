// SPDX-License-Identifier: Apache-2.0
#include "cli/complete.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <set>

#include "base/json.h"
#include "base/name.h"
#include "cli/request.h"

namespace mlos::cli {
namespace json = boost::json;
namespace {

using operations::OperationKind;
using operations::Resource;

// What stands before the cursor, as far as it matters here.
struct Line {
  const Command* command = nullptr;
  std::vector<std::string> positionals;
  std::string flag;  // the cursor is at its value
};

const Command* FindCommand(const std::vector<Command>& commands,
                           const std::vector<std::string>& words) {
  const Command* found = nullptr;
  for (const Command& command : commands) {
    const bool two = words.size() > 1 && command.words == words[0] + " " + words[1];
    if (two) return &command;
    if (!words.empty() && command.words == words[0]) found = &command;
  }
  return found;
}

bool TakesValue(const Command& command, const std::string& word) {
  if (word == "-o" || word == "--output") return true;
  return std::any_of(command.flags.begin(), command.flags.end(), [&](const Flag& flag) {
    return flag.name == word && !flag.placeholder.empty();
  });
}

Line Read(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  Line line;
  line.command = FindCommand(commands, words);
  if (line.command == nullptr) return line;
  const bool two = line.command->words.find(' ') != std::string::npos;
  for (size_t i = two ? 2 : 1; i < words.size(); ++i) {
    if (TakesValue(*line.command, words[i])) {
      if (i + 1 == words.size()) line.flag = words[i];
      ++i;
    } else if (words[i].substr(0, 1) != "-") {
      line.positionals.push_back(words[i]);
    }
  }
  return line;
}

bool IsOfPlugins(const Command& command) {
  return !command.rows.empty() && command.rows.front()->permission.resource == Resource::kPlugins;
}
bool IsOfModels(const Command& command) {
  if (command.action == Action::kInfer) return true;
  return !command.rows.empty() && command.rows.front()->permission.resource == Resource::kModels;
}

// That member of all objects in the list that the daemon answers with.
std::vector<std::string> Ask(Client& client, const Request& request, const char* list,
                             const char* member) {
  const StatusOr<Answer> answer = client.Send(request);
  if (!answer.ok() || answer->status != 200) return {};
  const StatusOr<json::value> body = ParseJson(answer->body);
  const json::object* object = body.ok() ? body->if_object() : nullptr;
  const json::value* found = object != nullptr ? object->if_contains(list) : nullptr;
  const json::array* items = found != nullptr ? found->if_array() : nullptr;
  if (items == nullptr) return {};
  std::set<std::string> words;
  for (const json::value& item : *items) {
    const json::object* fields = item.if_object();
    const json::value* text = fields != nullptr ? fields->if_contains(member) : nullptr;
    // A shell gets what a name may be, and nothing else that a server may say.
    if (text == nullptr || !text->is_string()) continue;
    std::string word(text->get_string());
    std::string plain = word;
    std::replace(plain.begin(), plain.end(), '+', '-');
    if (IsValidName(plain)) words.insert(std::move(word));
  }
  return {words.begin(), words.end()};
}

}  // namespace

std::vector<std::string> CompleteWords(const std::vector<Command>& commands,
                                       const std::vector<std::string>& words, Client& client) {
  const Line line = Read(commands, words);
  if (line.command == nullptr) return {};
  const Command& command = *line.command;
  // "logs NAME" is of plugins, "logs" of the daemon.
  const bool plugins = IsOfPlugins(command) || command.action == Action::kLogs;
  const Request all =
      RequestFor(plugins ? OperationKind::kListPlugins : OperationKind::kListModels);
  const char* const list = plugins ? "plugins" : "models";
  if (line.flag == "--plugin") {
    return Ask(client, RequestFor(OperationKind::kListPlugins), "plugins", "name");
  }
  if (!plugins && !IsOfModels(command)) return {};
  const size_t at = line.positionals.size();
  std::string wanted;
  if (line.flag == "--to" || (line.flag == "--version" && at > 0)) {
    wanted = "VERSION";
  } else if (line.flag.empty() && at < command.arguments.size()) {
    wanted = command.arguments[at].name;
  }
  const bool makes = !command.rows.empty() && command.rows.front()->creates;  // a new name
  if (wanted == "NAME" && !makes) return Ask(client, all, list, "name");
  if (wanted != "VERSION" || at == 0 || makes) return {};
  return Ask(client,
             RequestFor(plugins ? OperationKind::kGetPlugin : OperationKind::kGetModel,
                        line.positionals[0]),
             list, "version");
}

}  // namespace mlos::cli
