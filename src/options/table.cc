// SPDX-License-Identifier: Apache-2.0
#include "options/table.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace mlos::options {

std::string DefaultDataDir() {
  if (geteuid() == 0) return "/var/lib/mlos";
  // Nothing here ever sets a variable.  NOLINTBEGIN(concurrency-mt-unsafe)
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return std::string(state) + "/mlos";
  }
  const char* home = std::getenv("HOME");
  // NOLINTEND(concurrency-mt-unsafe)
  return std::string(home != nullptr ? home : "/tmp") + "/.local/state/mlos";
}

std::string DefaultIpcSocket() {
  if (geteuid() == 0) return "/run/mlos/mlos.sock";
  // Nothing here ever sets a variable.  NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime != '/') return "off";
  return std::string(runtime) + "/mlos/mlos.sock";
}

std::string DefaultPluginHost() {
  constexpr const char* kName = "mlos-plugin-host";
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string(kName) : (self.parent_path() / kName).string();
}

}  // namespace mlos::options
