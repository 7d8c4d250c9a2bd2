// SPDX-License-Identifier: Apache-2.0
//
// What must hold for the table of operations, as constant expressions: the
// table is static_asserted with them, so that a row with a missing or clashing
// column does not compile.  Pure.
#pragma once

#include "operations/operations.h"

namespace mlos::operations {

// The n-th piece between separators, or "" behind the last.
constexpr std::string_view Piece(std::string_view text, char separator, size_t n) {
  for (;; --n) {
    const size_t end = text.find(separator);
    if (n == 0) return text.substr(0, end);
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
}

// An argument of a command is written in capitals, perhaps in brackets.
constexpr bool IsArgument(std::string_view word) {
  return !word.empty() && (word[0] == '[' || (word[0] >= 'A' && word[0] <= 'Z'));
}

// "[VERSION]" and "VERSION" name the parameter or field "version".
constexpr bool Names(std::string_view argument, std::string_view name) {
  if (!argument.empty() && argument.front() == '[') {
    argument = argument.substr(1, argument.size() - 2);
  }
  if (argument.size() != name.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char lower = argument[i] >= 'A' && argument[i] <= 'Z'
                           ? static_cast<char>(argument[i] - 'A' + 'a')
                           : argument[i];
    if (lower != name[i]) return false;
  }
  return true;
}

// "{name}" -> "name"; anything else -> "".
constexpr std::string_view ParameterIn(std::string_view segment) {
  if (segment.size() < 3 || segment.front() != '{' || segment.back() != '}') return {};
  return segment.substr(1, segment.size() - 2);
}

constexpr size_t CountPieces(std::string_view text, char separator) {
  size_t count = 1;
  for (const char c : text) count += c == separator ? 1 : 0;
  return count;
}

constexpr bool HasArgument(const OperationRow& row, std::string_view name) {
  for (size_t i = 0; i < CountPieces(row.cli, ' '); ++i) {
    const std::string_view word = Piece(row.cli, ' ', i);
    if (IsArgument(word) && Names(word, name)) return true;
  }
  return false;
}

constexpr bool HasParameter(const OperationRow& row, std::string_view argument) {
  for (size_t i = 0; i < CountPieces(row.http_path, '/'); ++i) {
    const std::string_view name = ParameterIn(Piece(row.http_path, '/', i));
    if (!name.empty() && Names(argument, name)) return true;
  }
  return false;
}

constexpr bool IsWhole(const Field& field) {
  return !field.name.empty() && field.number != 0 && field.type != Type::kUnset &&
         field.in != In::kUnset && field.need != Need::kUnset && field.cli != CliForm::kUnset &&
         !field.help.empty();
}

constexpr bool EveryColumnIsThere(const OperationRow& row) {
  for (const Field& field : row.fields) {
    if (!IsWhole(field)) return false;
  }
  return row.kind < OperationKind::kCount && !row.name.empty() &&
         row.permission.verb != Verb::kUnset && row.permission.resource != Resource::kUnset &&
         row.rate != RateClass::kUnset && !row.http_method.empty() && !row.http_path.empty() &&
         !row.grpc_method.empty() && !row.cli.empty() && row.wait != Wait::kUnset &&
         row.takes != Takes::kUnset && row.answers != ObjectKind::kUnset && !row.help.empty() &&
         !row.example.empty();
}

constexpr bool MethodIsSound(const OperationRow& row) {
  const std::string_view m = row.http_method;
  if (m != "GET" && m != "POST" && m != "PUT" && m != "DELETE") return false;
  // What only looks is a GET, and the other way round.
  if ((m == "GET") != (row.permission.verb == Verb::kRead)) return false;
  if ((m == "GET") != (row.rate == RateClass::kRead)) return false;
  return !row.takes_body() || m == "POST" || m == "PUT";
}

constexpr bool BodyIsSound(const OperationRow& row) {
  size_t members = 0;
  for (const Field& field : row.fields) {
    members += field.in == In::kBody ? 1 : 0;
    for (const Field& other : row.fields) {
      if (&other != &field && other.name == field.name) return false;
    }
  }
  return row.takes_body() == (members > 0);
}

// In its message a request's path comes first.
constexpr bool NumbersAreSound(const OperationRow& row) {
  for (const Field& field : row.fields) {
    if (HasParameter(row, "NAME") && field.number == kNameNumber) return false;
    if (HasParameter(row, "VERSION") && field.number == kVersionNumber) return false;
    for (const Field& other : row.fields) {
      if (&other != &field && other.number == field.number) return false;
    }
  }
  return true;
}

constexpr bool PathIsSound(const OperationRow& row) {
  return row.http_path.substr(0, 8) == "/api/v1/" &&
         row.grpc_method.substr(0, 19) == "mlos.v1.Management/";
}

// The command asks for exactly what the request needs, and its example is one
// of this command.
constexpr bool CommandIsSound(const OperationRow& row) {
  for (size_t i = 0; i < CountPieces(row.http_path, '/'); ++i) {
    const std::string_view name = ParameterIn(Piece(row.http_path, '/', i));
    if (!name.empty() && !HasArgument(row, name)) return false;
  }
  for (const Field& field : row.fields) {
    if (HasArgument(row, field.name) != (field.cli == CliForm::kPositional)) return false;
  }
  bool arguments = false;
  std::string_view example = row.example;
  if (example.substr(0, 5) != "mlos ") return false;
  example.remove_prefix(5);
  for (size_t i = 0; i < CountPieces(row.cli, ' '); ++i) {
    const std::string_view word = Piece(row.cli, ' ', i);
    if (word.empty() || (arguments && !IsArgument(word))) return false;
    arguments = IsArgument(word);
    if (!arguments && Piece(example, ' ', i) != word) return false;
    bool known = !arguments || HasParameter(row, word);
    for (const Field& field : row.fields) known = known || Names(word, field.name);
    if (!known) return false;
  }
  return true;
}

constexpr size_t CountArguments(std::string_view cli) {
  size_t count = 0;
  for (size_t i = 0; i < CountPieces(cli, ' '); ++i) count += IsArgument(Piece(cli, ' ', i));
  return count;
}

// The words before the arguments: "plugin load".
constexpr std::string_view CommandWords(std::string_view cli) {
  size_t end = 0;
  for (size_t i = 0; i < CountPieces(cli, ' '); ++i) {
    const std::string_view word = Piece(cli, ' ', i);
    if (IsArgument(word)) break;
    end += (i == 0 ? 0 : 1) + word.size();
  }
  return cli.substr(0, end);
}

constexpr bool Clash(const OperationRow& a, const OperationRow& b) {
  return a.kind == b.kind || a.name == b.name ||
         (a.http_method == b.http_method && a.http_path == b.http_path) ||
         a.grpc_method == b.grpc_method || a.help == b.help ||
         (CommandWords(a.cli) == CommandWords(b.cli) &&
          CountArguments(a.cli) == CountArguments(b.cli));
}

constexpr bool NoTwoClash(std::span<const OperationRow> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (Clash(rows[i], rows[j])) return false;
    }
  }
  return true;
}

template <typename Predicate>
constexpr bool All(std::span<const OperationRow> rows, Predicate holds) {
  for (const OperationRow& row : rows) {
    if (!holds(row)) return false;
  }
  return true;
}

}  // namespace mlos::operations
