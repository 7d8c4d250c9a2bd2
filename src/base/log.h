// SPDX-License-Identifier: Apache-2.0
//
// The daemon's log: one line per event on standard error, written by spdlog.
// Never called on the hot path.  Any thread.  Text that came from outside is
// escaped here, so that no caller can forget it.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace mlos {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning", "error"; false if `name` is none of them.
bool ParseLogLevel(std::string_view name, LogLevel* level);
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);
void LogLine(LogLevel level, std::string_view text);

// Control characters and bytes that are not printable ASCII or UTF-8
// continuation as \xNN; at most `limit` bytes of input.
std::string EscapeForLog(std::string_view text, size_t limit = 4096);

template <typename... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mlos
