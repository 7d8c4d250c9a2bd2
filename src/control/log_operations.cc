// SPDX-License-Identifier: Apache-2.0
#include "control/log_operations.h"

#include <fmt/core.h>

#include <boost/json/array.hpp>
#include <utility>

#include "base/log.h"
#include "base/log_switches.h"
#include "base/name.h"

namespace mlos::control {
namespace json = boost::json;
namespace {

constexpr uint64_t kDefaultTail = 100;
constexpr uint64_t kMostTail = 1000;
constexpr uint64_t kMostVerbose = INT32_MAX;  // what the protocol's clients can read

json::string Text(std::string_view text) { return json::string(text.data(), text.size()); }

Outcome Refuse(const Status& status) {
  Outcome out;
  out.status = status;
  return out;
}

// The member as a number; its type was checked.
uint64_t Number(const json::object& members, const char* name, uint64_t otherwise) {
  const json::value* value = members.if_contains(name);
  if (value == nullptr) return otherwise;
  json::error_code error;
  const auto number = value->to_number<uint64_t>(error);
  return error ? otherwise : number;
}

// OK and unchanged where it is not given.
Status ReadLevel(const json::object& members, LogLevel* level) {
  const json::value* value = members.if_contains("level");
  if (value == nullptr) return OkStatus();
  const std::string_view name = {value->get_string().data(), value->get_string().size()};
  if (ParseLogLevel(name, level)) return OkStatus();
  return InvalidArgument(
      fmt::format("there is no level {}: it is debug, info, warning or error", Quoted(name)));
}

constexpr const char* OnOff(bool on) { return on ? "on" : "off"; }

Outcome SettingsObject() {
  const LogSwitches switches = CurrentLogSwitches();
  Outcome out;
  out.body = json::object{{"info", OnOff(switches.info)},
                          {"warning", OnOff(switches.warning)},
                          {"error", OnOff(switches.error)},
                          {"verbose", switches.verbose},
                          {"format", switches.utc ? "ISO8601" : "default"}};
  return out;
}

// OK and unchanged where it is not given.
Status ReadSwitch(const json::object& members, const char* name, bool* on) {
  const json::value* value = members.if_contains(name);
  if (value == nullptr) return OkStatus();
  const std::string_view text = {value->get_string().data(), value->get_string().size()};
  if (text != "on" && text != "off") {
    return InvalidArgument(fmt::format("\"{}\" is on or off, not {}", name, Quoted(text)));
  }
  *on = text == "on";
  return OkStatus();
}

// What is given is changed, all or nothing.
Outcome SwitchLog(const json::object& members) {
  if (members.empty()) return Refuse(InvalidArgument("there is nothing to switch"));
  LogSwitches switches = CurrentLogSwitches();
  for (const auto& [name, to] :
       {std::pair{"info", &switches.info}, std::pair{"warning", &switches.warning},
        std::pair{"error", &switches.error}}) {
    if (const Status status = ReadSwitch(members, name, to); !status.ok()) return Refuse(status);
  }
  const uint64_t verbose = Number(members, "verbose", switches.verbose);
  if (verbose > kMostVerbose) {
    return Refuse(
        InvalidArgument(fmt::format("\"verbose\" is {}; it is at most {}", verbose, kMostVerbose)));
  }
  switches.verbose = static_cast<uint32_t>(verbose);
  if (const json::value* value = members.if_contains("format")) {
    const std::string_view name = {value->get_string().data(), value->get_string().size()};
    if (name != "default" && name != "ISO8601") {
      return Refuse(InvalidArgument(
          fmt::format("there is no format {}: it is default or ISO8601", Quoted(name))));
    }
    switches.utc = name == "ISO8601";
  }
  SetLogSwitches(switches);
  // Whatever is switched off: who reads the log wants to know.
  LogLine(LogLevel::kInfo,
          fmt::format("the log's levels are now: info {}, warning {}, error {}, verbose {}",
                      OnOff(switches.info), OnOff(switches.warning), OnOff(switches.error),
                      switches.verbose));
  return SettingsObject();
}

json::object LineObject(const LogRing::Line& line) {
  json::object fields;
  for (const auto& [name, value] : line.fields) fields[name] = value;
  return {{"sequence", line.sequence},
          {"time", LogTime(line.time_ms)},
          {"level", Text(LogLevelName(line.level))},
          {"message", line.text},
          {"fields", std::move(fields)}};
}

}  // namespace

Outcome ReadLogLines(const Operation& op, const LogRing* ring) {
  LogLevel least = LogLevel::kDebug;
  if (const Status status = ReadLevel(op.body, &least); !status.ok()) return Refuse(status);
  const uint64_t tail = Number(op.body, "tail", kDefaultTail);
  if (tail > kMostTail) {
    return Refuse(
        InvalidArgument(fmt::format("\"tail\" is {}; it is at most {}", tail, kMostTail)));
  }
  LogRing::Page page;
  page.oldest = 1;
  if (ring != nullptr) page = ring->Read(tail, Number(op.body, "after", 0), least);
  json::array lines;
  for (const LogRing::Line& line : page.lines) lines.push_back(LineObject(line));
  Outcome out;
  out.body =
      json::object{{"lines", std::move(lines)}, {"oldest", page.oldest}, {"next", page.next}};
  return out;
}

Outcome ApplyLogOperation(const Operation& op) {
  if (op.kind == OperationKind::kSetLogSettings) return SwitchLog(op.body);
  if (op.kind == OperationKind::kGetLogSettings) return SettingsObject();
  if (op.kind == OperationKind::kReadLog) return ReadLogLines(op, &RecentLog());
  if (op.kind == OperationKind::kSetLogLevel) {
    LogLevel level = CurrentLogLevel();
    if (const Status status = ReadLevel(op.body, &level); !status.ok()) return Refuse(status);
    SetLogLevel(level);
    // At a level that is always written: who reads the log wants to know.
    LogLine(LogLevel::kInfo, fmt::format("the log's level is {} now", LogLevelName(level)));
  }
  Outcome out;
  out.body = json::object{{"level", Text(LogLevelName(CurrentLogLevel()))}};
  return out;
}

}  // namespace mlos::control
