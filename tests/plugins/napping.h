// SPDX-License-Identifier: Apache-2.0
//
// Whether a host runs a request of the plugin `slow`, which takes naps of a
// millisecond: its threads give the processor up far more often than those of
// an idle host.  For tests that have to kill it just then.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace mlos::test {

// How often all threads of a process have gone to sleep.
inline uint64_t Naps(pid_t pid) {
  constexpr std::string_view kField = "voluntary_ctxt_switches:";
  uint64_t naps = 0;
  std::error_code error;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (std::filesystem::directory_iterator it(tasks, error), end; !error && it != end;
       it.increment(error)) {
    std::ifstream status(it->path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind(kField, 0) == 0) naps += std::stoull(line.substr(kField.size()));
    }
  }
  return naps;
}

// Has napped so often since it was at `before` that a request must run.
inline bool RunsSlow(pid_t pid, uint64_t before) {
  constexpr uint64_t kMoreThanIdle = 30;
  return Naps(pid) > before + kMoreThanIdle;
}

}  // namespace mlos::test
