// SPDX-License-Identifier: Apache-2.0
#include "options/settings.h"

#include <fmt/core.h>

#include "base/log.h"
#include "base/name.h"
#include "base/near_miss.h"

namespace mlos::options {
namespace {

constexpr size_t kQuotedBytes = 200;    // of a value in a message
constexpr size_t kMaxTextBytes = 4096;  // PATH_MAX: no path and no address is longer
constexpr size_t kMaxListItems = 256;

std::string Wrong(const Row& row, std::string_view text, std::string_view hint = {}) {
  return fmt::format("is {}{}: give {}", Quoted(text, kQuotedBytes), hint, Allowed(row));
}

std::vector<std::string_view> Words(std::string_view choices) {
  std::vector<std::string_view> words;
  for (size_t end; !choices.empty(); choices.remove_prefix(std::min(end, choices.size()))) {
    end = choices.find('|');
    words.push_back(choices.substr(0, end));
    if (end != std::string_view::npos) ++end;
  }
  return words;
}

// Text that may be shown and handed to the system: not empty, UTF-8, no
// control characters.
bool IsPlainText(std::string_view text) {
  if (text.empty()) return false;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0 || static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7f) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string ReadText(const Row& row, std::string_view text, Value* value) {
  if (!IsPlainText(text)) {
    return Wrong(row, text, text.empty() ? "" : ", with characters that no name has");
  }
  if (text.size() > kMaxTextBytes) {
    return fmt::format("has {} characters: at most {} are allowed", text.size(), kMaxTextBytes);
  }
  if (row.type == Type::kChoice && !IsChoice(row.choices, text)) {
    return Wrong(row, text, DidYouMean(text, Words(row.choices)));
  }
  if (!IsList(row.type)) value->texts.clear();
  if (value->texts.size() == kMaxListItems) {
    return fmt::format("has more than {} items", kMaxListItems);
  }
  value->texts.emplace_back(text);
  return {};
}

std::string InQuotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

Value DefaultValue(const Row& row) {
  Value value;
  if (row.initial.kind == Default::Kind::kComputed) {
    value.texts.push_back(row.initial.compute());
  } else if (row.initial.kind == Default::Kind::kText) {
    ReadValue(row, row.initial.text, &value);  // the build has proved that it can be read
  }
  return value;
}

}  // namespace

std::string ReadValue(const Row& row, std::string_view text, Value* value) {
  if (row.type == Type::kBoolean) {
    if (text != "true" && text != "false") return Wrong(row, text);
    value->number = text == "true" ? 1 : 0;
    return {};
  }
  if (!IsNumber(row.type)) return ReadText(row, text, value);
  const std::optional<uint64_t> number = ParseNumber(row.type, text);
  if (!number || !InRange(row, *number)) return Wrong(row, text);
  value->number = *number;
  return {};
}

std::string WriteValue(const Row& row, const Value& value) {
  switch (row.type) {
    case Type::kInteger:
      return std::to_string(value.number);
    case Type::kDuration:
      return FormatDuration(value.number);
    case Type::kSize:
      return FormatSize(value.number);
    case Type::kBoolean:
      return value.number != 0 ? "true" : "false";
    case Type::kChoice:
      return value.texts.front();
    default:
      break;
  }
  if (!IsList(row.type)) return value.texts.empty() ? "" : InQuotes(value.texts.front());
  std::string out;
  for (const std::string& text : value.texts) out += (out.empty() ? "" : ", ") + InQuotes(text);
  return "[" + out + "]";
}

void Setting::Begin(const Row& row, Origin from) {
  origin = from;
  good = true;
  if (IsList(row.type)) value.texts.clear();
}

std::string Setting::Add(const Row& row, std::string_view text) {
  std::string wrong = ReadValue(row, text, &value);
  if (!wrong.empty()) good = false;
  return wrong;
}

Settings::Settings() {
  settings_.reserve(Table().size());
  for (const Row& row : Table()) settings_.push_back({.value = DefaultValue(row)});
}

std::string Settings::Text(Id id) const {
  const std::vector<std::string>& texts = at(id).value.texts;
  return texts.empty() ? std::string() : texts.front();
}

std::string Settings::Source(Id id) const {
  const Setting& setting = at(id);
  switch (setting.origin) {
    case Origin::kDefault:
      return "default";
    case Origin::kFile:
      return setting.place;
    case Origin::kEnvironment:
      return EnvironmentName(RowOf(id).name);
    case Origin::kFlag:
      return "--" + std::string(RowOf(id).name);
  }
  return "default";
}

}  // namespace mlos::options
