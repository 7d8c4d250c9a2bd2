// SPDX-License-Identifier: Apache-2.0
#include "base/log_ring.h"

#include <algorithm>
#include <chrono>

namespace mlos {
namespace {

size_t SizeOf(const LogRing::Line& line) {
  size_t bytes = sizeof(line) + line.text.size();
  for (const auto& [name, value] : line.fields) bytes += name.size() + value.size();
  return bytes;
}

}  // namespace

int64_t WallMillis() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

void LogRing::Add(int64_t time_ms, LogLevel level, std::string_view text,
                  std::span<const LogField> fields) {
  Line line;
  line.time_ms = time_ms;
  line.level = level;
  line.text = text;
  for (const LogField& field : fields) {
    if (!field.value.empty()) line.fields.emplace_back(field.name, field.value);
  }
  MutexLock lock(mutex_);
  line.sequence = next_++;
  bytes_ += SizeOf(line);
  lines_.push_back(std::move(line));
  while (lines_.size() > max_lines_ || (bytes_ > max_bytes_ && lines_.size() > 1)) {
    bytes_ -= SizeOf(lines_.front());
    lines_.pop_front();
  }
}

LogRing::Page LogRing::Read(size_t tail, uint64_t after, LogLevel least) const {
  Page page;
  MutexLock lock(mutex_);
  page.next = next_;
  page.oldest = lines_.empty() ? next_ : lines_.front().sequence;
  for (auto line = lines_.rbegin(); line != lines_.rend() && page.lines.size() < tail; ++line) {
    if (line->sequence <= after) break;
    if (line->level >= least) page.lines.push_back(*line);
  }
  std::reverse(page.lines.begin(), page.lines.end());
  return page;
}

}  // namespace mlos
