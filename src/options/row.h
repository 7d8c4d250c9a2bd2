// SPDX-License-Identifier: Apache-2.0
//
// What is said about an option: the columns of the table, and the rules that a
// row keeps, which are checked when the table is compiled.
// Values and pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "options/number.h"

namespace mlos::options {

enum class Type : uint8_t {
  kMissing,
  kText,
  kPath,
  kInteger,
  kDuration,
  kSize,
  kChoice,
  kBoolean,
  kAddresses,  // a list of HOST:PORT, [v6]:PORT, unix:PATH or off
  kPaths,      // a list
  kNames,      // a list, of models
};

// When a new value takes effect.
enum class Change : uint8_t { kMissing, kReload, kRestart };

enum class Group : uint8_t {
  kMissing,
  kGeneral,
  kPlugins,
  kModels,
  kListening,
  kRequests,
  kStopping,
  kHttp,
  kGrpc,
  kIpc,
  kClientMemory,
  kTracing
};
std::string_view GroupTitle(Group group);

// The one place where a default is written.
struct Default {
  enum class Kind : uint8_t { kMissing, kNone, kText, kComputed };
  Kind kind = Kind::kMissing;
  std::string_view text = {};  // as a user would write it; of a computed one: how it is found
  std::string (*compute)() = nullptr;  // kComputed: depends on who starts the daemon

  static constexpr Default Is(std::string_view text) { return {Kind::kText, text}; }
  // Not set, or an empty list.
  static constexpr Default None() { return {Kind::kNone}; }
  static constexpr Default Computed(std::string (*compute)(), std::string_view how) {
    return {Kind::kComputed, how, compute};
  }
};

// What numbers are allowed, both ends included, written as values are.
struct Range {
  std::string_view least = {};
  std::string_view most = {};
};

enum class Id : uint8_t;  // the table's

struct Row {
  Id id = {};
  std::string_view name = {};  // the flag without its dashes, and the key in the file
  Group group = Group::kMissing;
  Type type = Type::kMissing;
  Default initial = {};
  Range range = {};               // numbers, durations, sizes
  std::string_view unit = {};     // integers: what is counted
  std::string_view choices = {};  // kChoice: "one|other"
  Change change = Change::kMissing;
  std::string_view doc = {};     // a sentence without its full stop
  std::string_view reason = {};  // why this default; a sentence
  bool in_file = true;           // false: where the file is, cannot stand in it
};

constexpr bool IsNumber(Type type) {
  return type == Type::kInteger || type == Type::kDuration || type == Type::kSize;
}

// May be given more than once.
constexpr bool IsList(Type type) {
  return type == Type::kAddresses || type == Type::kPaths || type == Type::kNames;
}

// Of a number in its text form: milliseconds, bytes, or the number itself.
constexpr std::optional<uint64_t> ParseNumber(Type type, std::string_view text) {
  if (type == Type::kDuration) return ParseDuration(text);
  if (type == Type::kSize) return ParseSize(text);
  return ParseDigits(text);
}

constexpr bool InRange(const Row& row, uint64_t value) {
  const auto least = ParseNumber(row.type, row.range.least);
  const auto most = ParseNumber(row.type, row.range.most);
  return least && most && *least <= value && value <= *most;
}

// Whether `word` is one of "one|other".
constexpr bool IsChoice(std::string_view choices, std::string_view word) {
  while (!choices.empty()) {
    const size_t end = choices.find('|');
    if (choices.substr(0, end) == word) return true;
    if (end == std::string_view::npos) return false;
    choices.remove_prefix(end + 1);
  }
  return false;
}

constexpr bool IsOptionName(std::string_view name) {
  if (name.empty() || name.front() == '-' || name.back() == '-') return false;
  for (const char c : name) {
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return false;
  }
  return true;
}

constexpr bool DefaultIsGood(const Row& row) {
  switch (row.initial.kind) {
    case Default::Kind::kMissing:
      return false;
    case Default::Kind::kNone:
      return row.type == Type::kPath || row.type == Type::kText || IsList(row.type);
    case Default::Kind::kComputed:
      return row.initial.compute != nullptr && !row.initial.text.empty() && row.type == Type::kPath;
    case Default::Kind::kText:
      break;
  }
  if (row.type == Type::kChoice) return IsChoice(row.choices, row.initial.text);
  if (row.type == Type::kBoolean) return row.initial.text == "true" || row.initial.text == "false";
  if (!IsNumber(row.type)) return !row.initial.text.empty();
  const auto value = ParseNumber(row.type, row.initial.text);
  return value && InRange(row, *value);
}

// Every column that the row's type asks for is filled, and the default is a
// value that a user could give.
constexpr bool IsComplete(const Row& row) {
  if (!IsOptionName(row.name) || row.group == Group::kMissing || row.type == Type::kMissing ||
      row.change == Change::kMissing) {
    return false;
  }
  if (row.doc.empty() || row.doc.back() == '.' || row.reason.empty() || row.reason.back() != '.') {
    return false;
  }
  if (IsNumber(row.type) == row.range.least.empty()) return false;
  if ((row.type == Type::kInteger) == row.unit.empty()) return false;
  if ((row.type == Type::kChoice) == row.choices.empty()) return false;
  return DefaultIsGood(row);
}

// "MLOS_HTTP_ADDRESS"
std::string EnvironmentName(std::string_view option);

// What stands behind the flag in help: "DURATION", "required|off"; "" for a boolean.
std::string Placeholder(const Row& row);

// What a value has to be: "a whole number from 1 to 256 (threads)".
std::string Allowed(const Row& row);

// The default for a reader: "75s", "not set", how a computed one is found.
std::string DefaultText(const Row& row);

}  // namespace mlos::options
