// SPDX-License-Identifier: Apache-2.0
#include "cli/log_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <ctime>

#include "base/log_text.h"
#include "cli/terminal.h"

namespace mlos::cli {
namespace json = boost::json;

namespace {

std::string MemberText(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return {};
  return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

uint64_t MemberNumber(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return 0;
  json::error_code error;
  const auto number = value->to_number<uint64_t>(error);
  return error ? 0 : number;
}

// "2023-11-14T22:13:20.123Z" in local time; anything else as it is.
std::string LocalTime(const std::string& text) {
  tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr || std::string_view(rest).size() != 5 || rest[0] != '.' || rest[4] != 'Z') {
    return text;
  }
  int64_t millis = 0;
  const auto [at, error] = std::from_chars(rest + 1, rest + 4, millis);
  if (error != std::errc() || at != rest + 4 || millis < 0) return text;
  return LogTextTime(static_cast<int64_t>(timegm(&parts)) * 1000 + millis);
}

Colour LevelColour(std::string_view level) {
  if (level == "error") return Colour::kRed;
  if (level == "warning") return Colour::kYellow;
  return level == "debug" ? Colour::kFaint : Colour::kNone;
}

std::string Range(uint64_t first, uint64_t last) {
  return first == last ? fmt::format("line {} is", first)
                       : fmt::format("lines {} to {} are", first, last);
}

uint64_t NumberOf(const json::value& line) {
  return line.is_object() ? MemberNumber(line.get_object(), "sequence") : 0;
}

}  // namespace

std::string LogLineText(const json::object& line, const Look& look) {
  const std::string level = Escape(MemberText(line, "level"));
  std::string out = Escape(LocalTime(MemberText(line, "time"))) + " " +
                    (look.colour ? Coloured(level, LevelColour(level)) : level) + " " +
                    Escape(MemberText(line, "message"));
  const json::value* fields = line.if_contains("fields");
  if (fields == nullptr || !fields->is_object()) return out + "\n";
  for (const auto& field : fields->get_object()) {
    const std::string name = Escape({field.key().data(), field.key().size()});
    const std::string value =
        Escape(MemberText(fields->get_object(), std::string(field.key()).c_str()));
    const LogField one{name, value};
    AppendLogFields({&one, 1}, &out);
  }
  return out + "\n";
}

void LogView::NoteMissing(const json::array& lines, uint64_t oldest, uint64_t limit, Shown* shown) {
  if (!after_.has_value()) return;  // it begins somewhere
  uint64_t expected = *after_ + 1;
  if (oldest > expected) {
    shown->notes.push_back(Range(expected, oldest - 1) + " gone: no more than these are kept");
    expected = oldest;
  }
  if (limit == 0 || lines.empty()) return;
  const uint64_t first = NumberOf(lines.front());
  if (all_levels_ && first > expected) {
    shown->notes.push_back(Range(expected, first - 1) +
                           fmt::format(" left out: at most {} come at once", limit));
  } else if (!all_levels_ && lines.size() >= limit) {
    shown->notes.push_back(fmt::format(
        "lines before number {} may be left out: at most {} come at once", first, limit));
  }
}

LogView::Shown LogView::Show(const json::value& body, uint64_t limit) {
  Shown shown;
  const json::object* page = body.if_object();
  const json::value* lines = page != nullptr ? page->if_contains("lines") : nullptr;
  if (lines == nullptr || !lines->is_array()) {
    shown.text = EscapeLines(json::serialize(body)) + "\n";
    return shown;
  }
  const uint64_t next = MemberNumber(*page, "next");
  if (after_.has_value() && next <= *after_) {
    shown.notes.push_back(
        fmt::format("the numbers begin anew: the next line is {}, behind {}; the daemon was "
                    "started again, or has no such line yet",
                    next, *after_));
    after_ = 0;
    return shown;
  }
  NoteMissing(lines->get_array(), MemberNumber(*page, "oldest"), limit, &shown);
  uint64_t expected = 0;
  for (const json::value& line : lines->get_array()) {
    if (!line.is_object()) continue;
    const uint64_t number = NumberOf(line);
    if (all_levels_ && expected > 0 && number > expected) {
      shown.notes.push_back(Range(expected, number - 1) + " missing");
    }
    expected = number + 1;
    shown.text += LogLineText(line.get_object(), look_);
  }
  shown.lines = lines->get_array().size();
  after_ = std::max<uint64_t>(next, 1) - 1;
  return shown;
}

}  // namespace mlos::cli
