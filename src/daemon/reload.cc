// SPDX-License-Identifier: Apache-2.0
#include "daemon/reload.h"

#include "base/log.h"
#include "daemon/configuration.h"

namespace mlos::daemon {
namespace {

using options::Row;

std::string Written(const Row& row, const options::Settings& settings) {
  const std::string text = options::WriteValue(row, settings.at(row.id).value);
  return text.empty() ? "not set" : text;
}

size_t TakeOver(const options::Settings& now, options::Settings* settings) {
  size_t changes = 0;
  for (const Row& row : options::Table()) {
    if (now.at(row.id).value == settings->at(row.id).value) continue;
    ++changes;
    const std::string before = Written(row, *settings);
    const std::string after = Written(row, now);
    if (row.change == options::Change::kReload) {
      Log(LogLevel::kInfo, "reload: {} was {} and is {} ({})", row.name, before, after,
          now.Source(row.id));
      settings->at(row.id) = now.at(row.id);
    } else {
      Log(LogLevel::kWarning, "reload: {} is {} and stays so; {} ({}) needs a restart", row.name,
          before, after, now.Source(row.id));
    }
  }
  return changes;
}

}  // namespace

void ApplyLogLevel(const options::Settings& settings) {
  LogLevel level = LogLevel::kInfo;
  ParseLogLevel(settings.Text(options::Id::kLogLevel), &level);
  SetLogLevel(level);
}

void ApplyLogFormat(const options::Settings& settings) {
  LogFormat format = LogFormat::kText;
  ParseLogFormat(settings.Text(options::Id::kLogFormat), &format);
  SetLogFormat(format);
}

void Reload(const options::Inputs& inputs, options::Settings* settings) {
  options::Reading reading = options::Read(inputs);
  CheckConfiguration(&reading);
  // Whatever the level is or becomes: somebody asked and wants to see the answer.
  SetLogLevel(LogLevel::kInfo);
  if (!reading.faults.empty()) {
    for (const options::Fault& fault : reading.faults) {
      Log(LogLevel::kError, "reload: {}: {}", fault.source, fault.text);
    }
    Log(LogLevel::kError, "reload: nothing is changed, because the configuration has errors");
  } else if (TakeOver(reading.settings, settings) == 0) {
    Log(LogLevel::kInfo, "reload: nothing has changed");
  }
  ApplyLogLevel(*settings);
}

}  // namespace mlos::daemon
