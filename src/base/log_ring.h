// SPDX-License-Identifier: Apache-2.0
//
// The newest lines of a log, bounded in number and in bytes.  Every line has a
// number, so that a reader sees what it has missed.  Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace mlos {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view name;
  std::string_view value;
};

class LogRing {
 public:
  struct Line {
    uint64_t sequence = 0;  // from 1 on, without gaps
    int64_t time_ms = 0;    // CLOCK_REALTIME
    LogLevel level = LogLevel::kInfo;
    std::string text;
    std::vector<std::pair<std::string, std::string>> fields;
  };
  struct Page {
    std::vector<Line> lines;  // ascending
    uint64_t oldest = 0;      // the first line that is still here; next, if none is
    uint64_t next = 1;        // what the next line will be
  };

  LogRing(size_t max_lines, size_t max_bytes) : max_lines_(max_lines), max_bytes_(max_bytes) {}

  // `text` and values are escaped by the caller.
  void Add(int64_t time_ms, LogLevel level, std::string_view text,
           std::span<const LogField> fields = {});

  // The last `tail` of the lines behind number `after` that are at least this
  // important.
  Page Read(size_t tail, uint64_t after, LogLevel least) const;

 private:
  const size_t max_lines_;
  const size_t max_bytes_;
  mutable Mutex mutex_;
  std::deque<Line> lines_ MLOS_GUARDED_BY(mutex_);
  size_t bytes_ MLOS_GUARDED_BY(mutex_) = 0;
  uint64_t next_ MLOS_GUARDED_BY(mutex_) = 1;
};

int64_t WallMillis();  // CLOCK_REALTIME

}  // namespace mlos
