// SPDX-License-Identifier: Apache-2.0
#include "cli/format.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "cli/table.h"
#include "cli/terminal.h"
#include "operations/objects.h"
#include "operations/table_check.h"

namespace mlos::cli {
namespace json = boost::json;

using operations::ObjectKind;
using operations::OperationRow;

namespace {

std::string Text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "yes" : "no";
  if (value.is_null()) return "-";
  if (value.is_array()) {
    std::string out;
    for (const json::value& v : value.get_array()) out += (out.empty() ? "" : ", ") + Text(v);
    return out;
  }
  return json::serialize(value);
}

// A member's text; "" where there is none.
std::string Member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr) return {};
  uint64_t number = 0;
  if (value->is_int64()) number = static_cast<uint64_t>(std::max<int64_t>(value->get_int64(), 0));
  if (value->is_uint64()) number = value->get_uint64();
  const bool is_number = value->is_int64() || value->is_uint64();
  if (is_number && name.size() > 6 && name.substr(name.size() - 6) == "_bytes") {
    return FormatBytes(number);
  }
  if (is_number && name == "uptime_s") return FormatSeconds(number);
  if (name == "active" && value->is_bool()) return value->get_bool() ? "yes" : "";
  return Text(*value);
}

struct Column {
  std::string_view member;
  std::string_view heading;
  Table::Side side = Table::Side::kLeft;
};
constexpr auto kRight = Table::Side::kRight;

std::vector<Column> ColumnsOf(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kPlugins:
      return {{"name", "NAME"},     {"version", "VERSION"}, {"state", "STATE"},
              {"active", "ACTIVE"}, {"formats", "FORMATS"}, {"models", "MODELS", kRight},
              {"reason", "REASON"}};
    case ObjectKind::kModels:
      return {{"name", "NAME"},     {"version", "VERSION", kRight},   {"state", "STATE"},
              {"plugin", "PLUGIN"}, {"plugin_version", "ON VERSION"}, {"labels", "LABELS"},
              {"reason", "REASON"}};
    case ObjectKind::kHosts:
      return {{"plugin", "PLUGIN"},
              {"version", "VERSION"},
              {"pid", "PID", kRight},
              {"state", "STATE"},
              {"tier", "TIER"},
              {"restarts", "RESTARTS", kRight},
              {"rss_bytes", "MEMORY", kRight}};
    default:
      return {};
  }
}

// The one member that is a list of objects, if that is what the answer is.
const json::array* ListIn(const json::value& body) {
  if (!body.is_object() || body.get_object().size() != 1) return nullptr;
  const json::value& only = body.get_object().begin()->value();
  if (!only.is_array()) return nullptr;
  for (const json::value& v : only.get_array()) {
    if (!v.is_object()) return nullptr;
  }
  return &only.get_array();
}

std::string FormatList(ObjectKind kind, std::string_view what, const json::array& list,
                       const Look& look) {
  if (list.empty()) return fmt::format("no {}\n", Escape(what));
  std::vector<Column> columns = ColumnsOf(kind);
  std::vector<std::string> headings;  // of what has no columns of its own
  if (columns.empty()) {
    const json::object& first = list.front().get_object();
    headings.reserve(first.size());
    for (const auto& member : first) {
      const std::string_view key(member.key().data(), member.key().size());
      headings.push_back(Escape(key));
      columns.push_back({key, headings.back()});
    }
  }
  std::vector<Table::Column> heads;
  heads.reserve(columns.size());
  for (const Column& column : columns) heads.push_back({column.heading, column.side});
  Table table(heads);
  for (const json::value& object : list) {
    std::vector<std::string> cells;
    cells.reserve(columns.size());
    for (const Column& column : columns) {
      cells.push_back(Member(object.get_object(), column.member));
    }
    table.AddRow(cells);
  }
  return table.Render(look.colour, look.width);
}

std::string FormatObject(const json::object& object, const Look& look) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& member : object) {
    const std::string name(member.key().data(), member.key().size());
    std::string text = Member(object, name);
    if (name == "active") text = Text(member.value());
    if (!text.empty()) pairs.emplace_back(name, std::move(text));
  }
  return RenderPairs(pairs, look.colour);
}

// "loaded model digits 1: ready on onnxruntime 1.0.0"
std::string FormatChange(const OperationRow& row, const json::object& object, bool accepted,
                         const Look& look) {
  struct Past {
    std::string_view verb;
    std::string_view past;
  };
  constexpr Past kPasts[] = {{"register", "registered"},
                             {"remove", "removed"},
                             {"load", "loaded"},
                             {"unload", "unloaded"}};
  const std::string_view words = operations::CommandWords(row.cli);
  const std::string_view verb = words.substr(words.rfind(' ') + 1);
  std::string done;
  for (const Past& past : kPasts) {
    if (past.verb == verb) done = past.past;
  }
  if (done.empty()) return FormatObject(object, look);
  if (accepted) done = "accepted: " + std::string(verb);
  const std::string state = Escape(Member(object, "state"));
  std::string out = fmt::format("{} {} {} {}", done, words.substr(0, words.find(' ')),
                                Escape(Member(object, "name")), Escape(Member(object, "version")));
  if (verb == "remove") return out + "\n";
  out += ": " + (look.colour ? Coloured(state, StateColour(state)) : state);
  const bool runs = state == "ready" || state == "loading" || state == "draining";
  if (const std::string version = Member(object, "plugin_version"); runs && !version.empty()) {
    out += " on " + Escape(Member(object, "plugin") + " " + version);
  }
  if (const std::string reason = Member(object, "reason"); !reason.empty()) {
    out += " (" + Escape(reason) + ")";
  }
  return out + "\n";
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double amount = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (amount >= 1024 && unit + 1 < std::size(kUnits)) {
    amount /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string FormatSeconds(uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

std::string FormatAnswer(const OperationRow& row, const json::value& body, bool accepted,
                         const Look& look) {
  if (const json::array* list = ListIn(body)) {
    const auto key = body.get_object().begin()->key();
    return FormatList(row.answers, std::string_view(key.data(), key.size()), *list, look);
  }
  if (!body.is_object() || row.answers == ObjectKind::kDocument) {
    return EscapeLines(json::serialize(body)) + "\n";
  }
  const bool reads = row.permission.verb == operations::Verb::kRead;
  return reads ? FormatObject(body.get_object(), look)
               : FormatChange(row, body.get_object(), accepted, look);
}

}  // namespace mlos::cli
