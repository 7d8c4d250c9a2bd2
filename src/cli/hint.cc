// SPDX-License-Identifier: Apache-2.0
//
// Requests in a server's words, said as commands.
#include <map>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/format.h"
#include "operations/table_check.h"

namespace mlos::cli {
namespace {

using operations::OperationRow;
using operations::ParameterIn;
using operations::Piece;

// The values of the row's parameters in `path`, by name; false if it is not
// the row's path.
bool Match(const OperationRow& row, std::string_view path,
           std::map<std::string, std::string, std::less<>>* values) {
  const size_t count = operations::CountPieces(row.http_path, '/');
  if (operations::CountPieces(path, '/') != count) return false;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view pattern = Piece(row.http_path, '/', i);
    const std::string_view given = Piece(path, '/', i);
    const std::string_view name = ParameterIn(pattern);
    if (name.empty() && pattern != given) return false;
    // A parameter that the server left open stays an argument in capitals.
    if (!name.empty() && ParameterIn(given).empty()) values->emplace(name, given);
  }
  return true;
}

std::string CommandFor(const OperationRow& row,
                       const std::map<std::string, std::string, std::less<>>& values) {
  std::string out = "mlos";
  for (size_t i = 0; i < operations::CountPieces(row.cli, ' '); ++i) {
    std::string word(Piece(row.cli, ' ', i));
    for (const auto& [name, value] : values) {
      if (operations::IsArgument(word) && operations::Names(word, name)) word = value;
    }
    out += " " + word;
  }
  for (const operations::Field& field : row.fields) {
    if (field.cli != operations::CliForm::kFlag) continue;
    const std::string value = FlagPlaceholder(field);
    const std::string form = FlagName(field) + (value.empty() ? "" : " " + value);
    out += field.required() ? " " + form : " [" + form + "]";
  }
  return out;
}

}  // namespace

std::string TranslateHint(std::string_view hint) {
  constexpr std::string_view kPath = " /api/v1/";
  std::string out;
  while (true) {
    const size_t at = hint.find(kPath);
    if (at == std::string_view::npos) return out + std::string(hint);
    const size_t before = hint.find_last_of(" :;,(", at - (at > 0 ? 1 : 0));
    const size_t method_at = before == std::string_view::npos || at == 0 ? 0 : before + 1;
    const std::string_view method = hint.substr(method_at, at - method_at);
    const size_t path_end = std::min(hint.find_first_of(" ,;:)?'\"", at + 1), hint.size());
    const std::string_view path = hint.substr(at + 1, path_end - at - 1);
    size_t next = path_end;
    std::string command;
    for (const OperationRow& row : operations::Operations()) {
      std::map<std::string, std::string, std::less<>> values;
      if (row.http_method != method || !Match(row, path, &values)) continue;
      command = CommandFor(row, values);
      // The members of its body are flags and arguments now.
      if (hint.substr(path_end, 2) == " {") {
        const size_t close = hint.find('}', path_end);
        if (close != std::string_view::npos) next = close + 1;
      }
    }
    out += hint.substr(0, method_at);
    out += command.empty() ? std::string(hint.substr(method_at, next - method_at)) : command;
    hint.remove_prefix(next);
  }
}

}  // namespace mlos::cli
