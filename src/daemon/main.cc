// SPDX-License-Identifier: Apache-2.0
//
// mlosd: the core.  Exit status: 0 stopped as told, 1 could not start, 2 usage,
// 3 another daemon has the data directory.
#include <malloc.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "base/log_writer.h"
#include "daemon/configuration.h"
#include "daemon/core.h"
#include "daemon/data_dir.h"
#include "daemon/version.h"
#include "options/document.h"
#include "options/read.h"
#include "state/sqlite_store.h"

namespace {

using mlos::options::Action;
using mlos::options::Id;

int Refuse(int status, std::string_view text) {
  std::fprintf(stderr, "mlosd: %.*s\n", static_cast<int>(text.size()), text.data());
  return status;
}

int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

// While it lives, the loops' lines are written by a thread that may wait.
class LogThrough {
 public:
  explicit LogThrough(mlos::LogWriter& writer) { mlos::SetLogWriter(&writer); }
  ~LogThrough() { mlos::SetLogWriter(nullptr); }
  LogThrough(const LogThrough&) = delete;
  LogThrough& operator=(const LogThrough&) = delete;
};

int Run(mlos::options::Inputs inputs, const mlos::options::Settings& settings) {
  const auto lock = mlos::daemon::HoldDataDir(settings.Text(Id::kDataDir));
  if (!lock.ok()) {
    const bool taken = lock.status().code() == mlos::StatusCode::kAlreadyExists;
    return Refuse(taken ? 3 : 1, mlos::Message(lock.status()));
  }
  if (access(settings.Text(Id::kPluginHost).c_str(), X_OK) != 0) {
    const mlos::Status why = mlos::ErrnoStatus("--plugin-host " + settings.Text(Id::kPluginHost));
    return Refuse(1, mlos::Message(why));
  }
  auto store = mlos::state::SqliteStore::Open(settings.Text(Id::kDataDir) + "/state.db");
  if (!store.ok()) {
    const bool taken = store.status().code() == mlos::StatusCode::kAlreadyExists;
    return Refuse(taken ? 3 : 1, mlos::Message(store.status()));
  }
  // One more signal, while the end goes on, must not make it another end: this
  // keeps the handlers when the core gives up its own.
  static boost::asio::io_context no_loop;
  static const boost::asio::signal_set kept(no_loop, SIGINT, SIGTERM);
  mlos::LogWriter log_writer(STDERR_FILENO);
  const LogThrough through(log_writer);
  mlos::daemon::Core core(std::move(inputs), settings, *std::move(store));
  const mlos::Status started = core.Start();
  if (!started.ok()) return Refuse(1, mlos::Message(started));
  return core.Run();
}

}  // namespace

int main(int argc, char** argv) {
  // Large buffers are the system's again as soon as they are freed.  Left to itself the allocator
  // comes to keep them once it has seen a few: a crowd's bodies would stay for good.
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
  auto inputs = mlos::options::Inputs::Of(argc, argv, environ);
  mlos::options::Reading reading = mlos::options::Read(inputs);
  switch (reading.action) {
    case Action::kHelp:
      return Print(mlos::options::Help());
    case Action::kVersion:
      return Print(std::string("mlosd ") + mlos::daemon::kVersion + "\n");
    case Action::kManual:
      return Print(mlos::options::Manual(mlos::daemon::kVersion));
    case Action::kManualMarkdown:
      return Print(mlos::options::Markdown());
    case Action::kPrintConfig:  // also of what cannot run yet, to be completed
      break;
    case Action::kRun:
      mlos::daemon::CheckConfiguration(&reading);
      break;
  }
  for (const auto& warning : reading.warnings) {
    std::fprintf(stderr, "mlosd: %s %s\n", warning.source.c_str(), warning.text.c_str());
  }
  if (!reading.faults.empty()) {
    std::fputs(mlos::options::Report("mlosd", reading.faults).c_str(), stderr);
    return 2;
  }
  if (reading.action == Action::kPrintConfig) {
    return Print(mlos::options::ConfigFileText(reading.settings));
  }
  return Run(std::move(inputs), reading.settings);
}
