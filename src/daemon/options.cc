// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

#include "base/log.h"
#include "daemon/version.h"

namespace mlos::daemon {
namespace {

constexpr int kUsage = 2;

std::string DefaultDataDir() {
  if (geteuid() == 0) return "/var/lib/mlos";
  // There is one thread yet.  NOLINTBEGIN(concurrency-mt-unsafe)
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    return std::string(state) + "/mlos";
  }
  const char* home = std::getenv("HOME");
  // NOLINTEND(concurrency-mt-unsafe)
  return std::string(home != nullptr ? home : "/tmp") + "/.local/state/mlos";
}

std::string BesideThisProgram(const char* name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string(name) : (self.parent_path() / name).string();
}

}  // namespace

bool ParseOptions(int argc, char** argv, Options* o, int* exit_status) {
  o->data_dir = DefaultDataDir();
  o->plugin_host = BesideThisProgram("mlos-plugin-host");
  CLI::App app{"mlosd: runs machine-learning models as an operating system runs processes.",
               "mlosd"};
  app.set_version_flag("--version", std::string("mlosd ") + kVersion);
  app.add_option("--data-dir", o->data_dir, "Where the daemon keeps what must last")
      ->capture_default_str();
  app.add_option("--http-address", o->http_addresses,
                 "Listen for HTTP: HOST:PORT, [v6]:PORT, unix:PATH or off; repeatable; port 0 "
                 "takes a free one")
      ->capture_default_str();
  app.add_option("--auth", o->auth, "required, or off for loopback and Unix sockets only")
      ->check(CLI::IsMember({"required", "off"}))
      ->capture_default_str();
  app.add_option("--print-addresses", o->print_addresses,
                 "Write the addresses in use to this file, as JSON, once they accept");
  app.add_option("--plugin-dir", o->plugin_dirs,
                 "Register the plugin packages below this directory at start; repeatable");
  app.add_option("--plugin-host", o->plugin_host, "The program that runs a plugin")
      ->capture_default_str();
  app.add_option("--workers", o->workers, "Threads of each plugin host that run requests")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  app.add_option("--drain-timeout", o->drain_seconds,
                 "Seconds that running requests get when the daemon is told to stop")
      ->check(CLI::Range(0u, 3600u))
      ->capture_default_str();
  app.add_option("--log-level", o->log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    *exit_status = app.exit(e) == 0 ? 0 : kUsage;
    return false;
  }
  LogLevel level = LogLevel::kInfo;
  ParseLogLevel(o->log_level, &level);
  SetLogLevel(level);
  return true;
}

}  // namespace mlos::daemon
