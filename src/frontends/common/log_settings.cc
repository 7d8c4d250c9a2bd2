// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/log_settings.h"

#include <array>

#include "base/log_switches.h"
#include "frontends/common/infer_plan.h"

namespace mlos::frontend {
namespace {

namespace json = boost::json;

enum class Kind : uint8_t { kBool, kNumber, kText };

struct Row {
  std::string_view name;    // the protocol's
  std::string_view member;  // of the operation
  Kind kind;
  std::string_view type;  // for people
};
constexpr std::array<Row, 5> kRows = {{
    {"log_info", "info", Kind::kBool, "a boolean"},
    {"log_warning", "warning", Kind::kBool, "a boolean"},
    {"log_error", "error", Kind::kBool, "a boolean"},
    {"log_verbose_level", "verbose", Kind::kNumber, "an integer from 0 on"},
    {"log_format", "format", Kind::kText, "a string: default or ISO8601"},
}};

}  // namespace

std::vector<LogSetting> ReadLogSettings() {
  const LogSwitches switches = CurrentLogSwitches();
  return {{"log_file", std::string()},  // standard error
          {"log_info", switches.info},
          {"log_warning", switches.warning},
          {"log_error", switches.error},
          {"log_verbose_level", uint64_t{switches.verbose}},
          {"log_format", std::string(switches.utc ? "ISO8601" : "default")}};
}

control::Operation BeginLogChange() {
  control::Operation operation;
  operation.kind = control::OperationKind::kSetLogSettings;
  return operation;
}

Status AddLogChange(std::string_view name, const SettingValue& value,
                    control::Operation* operation) {
  if (name == "log_file") {
    return MakeStatus(StatusCode::kUnimplemented,
                      "log_file cannot be set over the network: the log goes to standard error, "
                      "and whoever starts the server says where that goes");
  }
  std::string known;
  for (const Row& row : kRows) {
    if (row.name != name) {
      known += (known.empty() ? "" : ", ") + std::string(row.name);
      continue;
    }
    if (value.index() != static_cast<size_t>(row.kind)) {
      return InvalidArgument(std::string(name) + " is " + std::string(row.type));
    }
    json::value& member = operation->body[json::string_view(row.member.data(), row.member.size())];
    if (const bool* on = std::get_if<bool>(&value)) {
      member = *on ? "on" : "off";
    } else if (const uint64_t* number = std::get_if<uint64_t>(&value)) {
      member = *number;
    } else {
      member = std::get<std::string>(value);
    }
    return OkStatus();
  }
  return InvalidArgument("there is no log setting " + Quote(name) + " (known: " + known + ")");
}

}  // namespace mlos::frontend
