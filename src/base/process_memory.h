// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says of a process's memory.  Any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace mlos {

struct ProcessMemory {
  uint64_t resident = 0;   // bytes in memory
  uint64_t anonymous = 0;  // of these, those that no file and no other process shares
};

// Zeros when there is no such process.
ProcessMemory ReadProcessMemory(pid_t pid);
// Of this process.
ProcessMemory ReadProcessMemory();

struct MachineMemory {
  uint64_t total = 0;      // bytes
  uint64_t available = 0;  // what programs could still get without swapping
};
MachineMemory ReadMachineMemory();

}  // namespace mlos
