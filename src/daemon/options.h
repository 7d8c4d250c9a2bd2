// SPDX-License-Identifier: Apache-2.0
//
// mlosd's command line.  Values only.
#pragma once

#include <string>
#include <vector>

namespace mlos::daemon {

struct Options {
  std::string data_dir;
  std::vector<std::string> http_addresses{"127.0.0.1:8080"};
  std::string auth = "required";
  std::string print_addresses;
  std::vector<std::string> plugin_dirs;
  std::string plugin_host;  // the program; default: beside mlosd
  std::string log_level = "info";
  unsigned workers = 2;
  unsigned drain_seconds = 20;
};

// Reads the command line.  True: go on.  False: `exit_status` says how to end
// (help and version were printed, or what is wrong was said).
bool ParseOptions(int argc, char** argv, Options* options, int* exit_status);

}  // namespace mlos::daemon
