// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <span>

#include "base/clock.h"
#include "base/log_switches.h"
#include "base/log_text.h"
#include "base/log_writer.h"

namespace mlos {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};
constexpr size_t kMaxText = 16384;
constexpr size_t kMaxField = 1024;
// What is kept in memory: some hours of a quiet daemon.
constexpr size_t kRecentLines = 4096;
constexpr size_t kRecentBytes = 1 << 20;

constexpr uint32_t Bit(LogLevel level) { return 1u << static_cast<uint32_t>(level); }
constexpr uint32_t AllFrom(LogLevel level) { return (1u << kLevelNames.size()) - Bit(level); }

std::atomic<uint32_t> g_levels{AllFrom(LogLevel::kInfo)};  // those that are written
std::atomic<uint32_t> g_verbose{0};
std::atomic<bool> g_utc{false};
std::atomic<LogFormat> g_format{LogFormat::kText};

std::atomic<LogWriter*> g_writer{nullptr};

// By one call, so that lines of several threads stay whole.
void WriteAtOnce(std::string line) {
  line += '\n';
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, left.data(), left.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) left.remove_prefix(static_cast<size_t>(written));
  }
}

std::string UtcTime(int64_t time_ms) {
  const time_t seconds = time_ms / 1000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", text, static_cast<int>(time_ms % 1000));
}

// Of texts that are escaped already.
std::string Compose(LogFormat format, int64_t time_ms, LogLevel level, std::string_view text,
                    std::span<const LogField> fields) {
  const std::string_view name = LogLevelName(level);
  std::string out;
  if (format == LogFormat::kText) {
    out =
        fmt::format("{} {} {}", g_utc.load() ? UtcTime(time_ms) : LogTextTime(time_ms), name, text);
    AppendLogFields(fields, &out);
    return out;
  }
  out = fmt::format(R"({{"time":"{}","level":"{}","message":)", UtcTime(time_ms), name);
  AppendLogQuoted(text, &out);
  for (const LogField& field : fields) {
    if (field.value.empty()) continue;
    out += ',';
    AppendLogQuoted(field.name, &out);
    out += ':';
    AppendLogQuoted(field.value, &out);
  }
  out += '}';
  return out;
}

}  // namespace

std::string LogTime(int64_t time_ms) { return UtcTime(time_ms); }

std::string_view LogLevelName(LogLevel level) { return kLevelNames[static_cast<size_t>(level)]; }

bool ParseLogLevel(std::string_view name, LogLevel* level) {
  const auto it = std::find(kLevelNames.begin(), kLevelNames.end(), name);
  if (it == kLevelNames.end()) return false;
  *level = static_cast<LogLevel>(it - kLevelNames.begin());
  return true;
}

void SetLogLevel(LogLevel level) {
  g_levels.store(AllFrom(level));
  g_verbose.store(level == LogLevel::kDebug ? 1 : 0);
}

// The least important one that is written.
LogLevel CurrentLogLevel() {
  const uint32_t levels = g_levels.load();
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if ((levels & Bit(static_cast<LogLevel>(i))) != 0) return static_cast<LogLevel>(i);
  }
  return LogLevel::kError;
}

bool LogEnabled(LogLevel level) {
  return (g_levels.load(std::memory_order_relaxed) & Bit(level)) != 0;
}

LogSwitches CurrentLogSwitches() {
  const uint32_t levels = g_levels.load();
  return {.info = (levels & Bit(LogLevel::kInfo)) != 0,
          .warning = (levels & Bit(LogLevel::kWarning)) != 0,
          .error = (levels & Bit(LogLevel::kError)) != 0,
          .verbose = g_verbose.load(),
          .utc = g_utc.load()};
}

void SetLogSwitches(const LogSwitches& switches) {
  g_verbose.store(switches.verbose);
  g_utc.store(switches.utc);
  g_levels.store((switches.verbose > 0 ? Bit(LogLevel::kDebug) : 0) |
                 (switches.info ? Bit(LogLevel::kInfo) : 0) |
                 (switches.warning ? Bit(LogLevel::kWarning) : 0) |
                 (switches.error ? Bit(LogLevel::kError) : 0));
}

bool ParseLogFormat(std::string_view name, LogFormat* format) {
  if (name != "text" && name != "json") return false;
  *format = name == "json" ? LogFormat::kJson : LogFormat::kText;
  return true;
}

void SetLogFormat(LogFormat format) { g_format.store(format); }

void SetLogWriter(LogWriter* writer) { g_writer.store(writer, std::memory_order_release); }

uint64_t LogLinesDropped() {
  const LogWriter* const writer = g_writer.load(std::memory_order_acquire);
  return writer == nullptr ? 0 : writer->dropped();
}

LogRing& RecentLog() {
  static LogRing ring(kRecentLines, kRecentBytes);
  return ring;
}

namespace {

// At most so many fields are looked at: lines have a handful.
constexpr size_t kMaxFields = 12;

// Escapes, then calls f(text, fields...) with what may be written.
template <typename F>
void WithEscaped(std::string_view text, LogFields fields, F&& f) {
  const std::string safe = EscapeForLog(text, kMaxText);
  std::array<std::string, kMaxFields> values;
  std::array<LogField, kMaxFields> escaped;
  size_t i = 0;
  for (const LogField& field : fields) {
    if (i == kMaxFields) break;
    values[i] = EscapeForLog(field.value, kMaxField);
    escaped[i] = {field.name, values[i]};
    ++i;
  }
  f(std::string_view(safe), std::span<const LogField>(escaped.data(), i));
}

}  // namespace

std::string FormatLogLine(LogFormat format, int64_t time_ms, LogLevel level, std::string_view text,
                          LogFields fields) {
  std::string line;
  WithEscaped(text, fields, [&](std::string_view safe, std::span<const LogField> escaped) {
    line = Compose(format, time_ms, level, safe, escaped);
  });
  return line;
}

void LogLine(LogLevel level, std::string_view text, LogFields fields) {
  const int64_t now = WallMillis();
  WithEscaped(text, fields, [&](std::string_view safe, std::span<const LogField> escaped) {
    RecentLog().Add(now, level, safe, escaped);
    std::string line = Compose(g_format.load(), now, level, safe, escaped);
    LogWriter* const writer = g_writer.load(std::memory_order_acquire);
    if (writer == nullptr) return WriteAtOnce(std::move(line));
    uint64_t missing = 0;
    if (!writer->Add(line, &missing) || missing == 0) return;
    const bool told = writer->Add(Compose(
        g_format.load(), now, LogLevel::kWarning,
        fmt::format("{} lines of this log were dropped before the last one: whoever reads it was "
                    "too slow",
                    missing),
        {}));
    if (!told) writer->GiveBack(missing);
  });
}

bool LogLimit::Allow(uint64_t now_ns, uint64_t* held_back) {
  *held_back = 0;
  const uint64_t second = now_ns / kNanosPerSecond;
  if (second != second_) {
    if (lines_ > per_second_) *held_back = lines_ - per_second_;
    second_ = second;
    lines_ = 0;
  }
  return ++lines_ <= per_second_;
}

size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2   ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Longer than need be, a surrogate, or beyond the last character.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return length;
}

std::string EscapeForLog(std::string_view text, size_t limit) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = Utf8Length(text.substr(at));
    if (at + std::max<size_t>(length, 1) > limit) break;
    const auto c = static_cast<unsigned char>(text[at]);
    if (length == 0 || c < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", c);
      ++at;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  if (at < text.size()) out += "…";
  return out;
}

}  // namespace mlos
