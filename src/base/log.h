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

// Bytes of the UTF-8 character that `text` begins with; 0 when it begins with none.
size_t Utf8Length(std::string_view text);

// Control characters, and bytes that are no part of a UTF-8 character, as \xNN;
// at most `limit` bytes of input, cut between characters.  The result is UTF-8.
std::string EscapeForLog(std::string_view text, size_t limit = 4096);

template <typename... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mlos
