// SPDX-License-Identifier: Apache-2.0
#include "base/process_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace mlos {
namespace {

ProcessMemory Read(const char* path) {
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return {};
  unsigned long size = 0;
  unsigned long resident = 0;
  unsigned long shared = 0;
  const int got = std::fscanf(file, "%lu %lu %lu", &size, &resident, &shared);
  std::fclose(file);
  if (got != 3) return {};
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return {resident * page, (resident - std::min(resident, shared)) * page};
}

}  // namespace

ProcessMemory ReadProcessMemory(pid_t pid) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/statm", pid);
  return Read(path);
}

ProcessMemory ReadProcessMemory() { return Read("/proc/self/statm"); }

MachineMemory ReadMachineMemory() {
  MachineMemory memory;
  std::FILE* file = std::fopen("/proc/meminfo", "re");
  if (file == nullptr) return memory;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    unsigned long kib = 0;
    if (std::sscanf(line, "MemTotal: %lu", &kib) == 1) memory.total = kib * 1024;
    if (std::sscanf(line, "MemAvailable: %lu", &kib) == 1) memory.available = kib * 1024;
  }
  std::fclose(file);
  return memory;
}

}  // namespace mlos
