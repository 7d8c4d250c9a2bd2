// SPDX-License-Identifier: Apache-2.0
//
// The daemon's log: one line per event on standard error, as text or as JSON,
// and the newest lines in memory for who asks over the management interface.
// Never called on the hot path.  Any thread.  Text that came from outside is
// escaped here, so that no caller can forget it.
#pragma once

#include <fmt/core.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/log_ring.h"

namespace mlos {

// "debug", "info", "warning", "error"; false if `name` is none of them.
bool ParseLogLevel(std::string_view name, LogLevel* level);
std::string_view LogLevelName(LogLevel level);
void SetLogLevel(LogLevel level);
LogLevel CurrentLogLevel();
bool LogEnabled(LogLevel level);

enum class LogFormat { kText, kJson };
bool ParseLogFormat(std::string_view name, LogFormat* format);  // "text", "json"
void SetLogFormat(LogFormat format);

// Fields with an empty value are left out.
using LogFields = std::initializer_list<LogField>;
void LogLine(LogLevel level, std::string_view text, LogFields fields = {});
// What LogLine writes, without the line's end.  `time_ms` is of CLOCK_REALTIME.
std::string FormatLogLine(LogFormat format, int64_t time_ms, LogLevel level, std::string_view text,
                          LogFields fields);

// "2023-11-14T22:13:20.123Z"
std::string LogTime(int64_t time_ms);

// Lines go through `writer` from now on; null: they are written at once, by who
// logs.  Borrowed: null again before it goes.  `dropped`: by the present writer.
class LogWriter;
void SetLogWriter(LogWriter* writer);
uint64_t LogLinesDropped();

// The newest lines of this process's log.
LogRing& RecentLog();

// Bytes of the UTF-8 character that `text` begins with; 0 when it begins with none.
size_t Utf8Length(std::string_view text);

// Control characters, and bytes that are no part of a UTF-8 character, as \xNN;
// at most `limit` bytes of input, cut between characters.  The result is UTF-8.
std::string EscapeForLog(std::string_view text, size_t limit = 4096);

template <typename... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void Log(LogLevel level, LogFields fields, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, fmt::format(format, std::forward<Args>(args)...), fields);
}

// Lets through so many lines a second.  One thread.
class LogLimit {
 public:
  explicit LogLimit(uint32_t per_second) : per_second_(per_second) {}
  // False: not this one.  `*held_back`: how many were, in the last second that
  // had any, when a new second begins; else 0.
  bool Allow(uint64_t now_ns, uint64_t* held_back);

 private:
  const uint32_t per_second_;
  uint64_t second_ = 0;
  uint64_t lines_ = 0;
};

}  // namespace mlos
