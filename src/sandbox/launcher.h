// SPDX-License-Identifier: Apache-2.0
//
// Starts a program that is not trusted, with nothing of ours but what is
// named: no environment, no descriptors, no privileges to gain, its own
// process group, and a death signal should the thread that started it end.
//
// Threads: the thread that calls Launch must live as long as its children
// should (the kernel ties the death signal to the thread, not the process).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::sandbox {

struct LaunchSpec {
  std::string program;                   // absolute path
  std::vector<std::string> arguments;    // without argv[0]
  std::vector<std::string> environment;  // "NAME=value"; nothing else is passed
  int control_fd = -1;                   // becomes descriptor 3; borrowed
};

struct Child {
  pid_t pid = -1;
  OwnedFd pidfd;   // readable when the child has ended
  OwnedFd output;  // read end of its standard output and error
};

StatusOr<Child> Launch(const LaunchSpec& spec);

// How a child ended.
struct ExitReport {
  bool signalled = false;
  int code = 0;  // exit status, or the signal's number
  bool core_dumped = false;
  uint64_t max_rss_bytes = 0;
  uint64_t cpu_ns = 0;  // user and system
};

// "exited with status 1", "killed by signal 11 (Segmentation fault)"
std::string ExitText(const ExitReport& report);

// Collects an ended child; UNAVAILABLE if it still runs.
StatusOr<ExitReport> Reap(const Child& child);
void Kill(const Child& child);

}  // namespace mlos::sandbox
