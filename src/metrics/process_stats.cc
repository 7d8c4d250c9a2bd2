// SPDX-License-Identifier: Apache-2.0
#include "metrics/process_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/owned_fd.h"

namespace mlos::metrics {
namespace {

std::string ReadFile(const char* path, size_t most) {
  const OwnedFd file(open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  std::string text(most, '\0');
  const ssize_t n = read(file.get(), text.data(), text.size());
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

uint64_t TicksToNanos(uint64_t ticks) {
  static const auto per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  return ticks * (kNanosPerSecond / per_second);
}

}  // namespace

std::optional<ProcessStats> ParseStat(std::string_view line) {
  // The name in parentheses may contain anything, parentheses too.
  const size_t end = line.rfind(')');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view rest = line.substr(end + 1);
  // Numbered as in proc(5); the state, a letter, is number 3.
  uint64_t field[25] = {};
  for (int i = 3; i < 25; ++i) {
    const size_t start = rest.find_first_not_of(" \n");
    if (start == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(start);
    const size_t length = std::min(rest.find_first_of(" \n"), rest.size());
    int64_t value = 0;  // some are negative
    std::from_chars(rest.data(), rest.data() + length, value);
    field[i] = value > 0 ? static_cast<uint64_t>(value) : 0;
    rest.remove_prefix(length);
  }
  ProcessStats s;
  s.parent = static_cast<pid_t>(field[4]);
  s.minor_faults = field[10];
  s.major_faults = field[12];
  s.user_ns = TicksToNanos(field[14]);
  s.system_ns = TicksToNanos(field[15]);
  s.started_ns = TicksToNanos(field[22]);
  s.virtual_bytes = field[23];
  s.resident_bytes = field[24] * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return s;
}

std::optional<ProcessStats> ReadProcess(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  return ParseStat(ReadFile(("/proc/" + std::to_string(pid) + "/stat").c_str(), 4096));
}

uint64_t OpenDescriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  uint64_t entries = 0;
  // The stream is this call's own.  NOLINTNEXTLINE(concurrency-mt-unsafe)
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries > 3 ? entries - 3 : 0;  // without ".", ".." and the directory itself
}

uint64_t DescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

uint64_t MachineStartSeconds() {
  const std::string text = ReadFile("/proc/stat", 1 << 20);
  const size_t at = text.find("\nbtime ");
  uint64_t seconds = 0;
  if (at != std::string::npos) {
    std::from_chars(text.data() + at + 7, text.data() + text.size(), seconds);
  }
  return seconds;
}

}  // namespace mlos::metrics
