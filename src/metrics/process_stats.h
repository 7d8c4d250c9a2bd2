// SPDX-License-Identifier: Apache-2.0
//
// What the system says of a process.  Values; any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace mlos::metrics {

struct ProcessStats {
  pid_t parent = 0;
  uint64_t user_ns = 0;
  uint64_t system_ns = 0;
  uint64_t minor_faults = 0;
  uint64_t major_faults = 0;
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t started_ns = 0;  // since the machine's start
};

std::optional<ProcessStats> ReadProcess(pid_t pid);
uint64_t OpenDescriptors();      // of this process
uint64_t DescriptorLimit();      // of this process
uint64_t MachineStartSeconds();  // since 1970
// One line of /proc/PID/stat.
std::optional<ProcessStats> ParseStat(std::string_view line);

}  // namespace mlos::metrics
