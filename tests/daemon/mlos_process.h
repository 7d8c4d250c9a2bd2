// SPDX-License-Identifier: Apache-2.0
//
// Runs the real mlos and takes what it printed.  One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace mlos::test {

struct MlosRun {
  int exit = -1;  // 128 + the signal that ended it; -1: it had to be killed
  std::string out;
  std::string err;
};

struct MlosOptions {
  std::map<std::string, std::string> environment;  // all of it, but for PATH
  std::string input;                               // on standard input
  std::string until;                               // interrupted (SIGINT) when `out` has this
  bool terminal = false;                           // output and errors go to one, into `out`
  std::string output;                              // where output goes instead of into `out`
  std::string directory;                           // to run in; empty: the test's own
};

MlosRun RunMlos(const std::vector<std::string>& args, const MlosOptions& options = {});

}  // namespace mlos::test
