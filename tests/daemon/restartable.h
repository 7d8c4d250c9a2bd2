// SPDX-License-Identifier: Apache-2.0
//
// One data directory and the daemons that use it one after the other, however
// each of them ends.  Makes the test process the one that orphans fall to, so
// that nothing of a killed daemon goes unseen.  One thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "daemon_process.h"
#include "http_client.h"

namespace mlos::test {

class Restartable {
 public:
  explicit Restartable(std::vector<std::string> more_args = {},
                       std::vector<std::string> environment = {});

  // Starts a daemon and returns at once.
  void Launch();
  // Waits until it listens and is ready; false, and why in `why`, when that
  // takes longer than the limit or it ends.
  bool WaitReady(std::chrono::milliseconds limit, std::string* why);
  bool Start(std::chrono::milliseconds limit, std::string* why) {
    Launch();
    return WaitReady(limit, why);
  }
  // From Launch to ready.
  double ready_ms() const { return ready_ms_; }

  // Kills it; true when neither it nor any process that it began is left.
  bool KillAndSeeAllGone();
  // SIGTERM; the exit status.
  int Stop();

  DaemonProcess& process() { return *process_; }
  HttpClient& client() { return *client_; }
  const std::string& address() const { return address_; }
  const std::string& data_dir() const { return data_dir_; }
  const TempDir& dir() const { return dir_; }
  // What lies in the data directory and is none of the files that belong there.
  std::vector<std::string> Strange() const;

 private:
  bool Listens();

  const TempDir dir_;
  const std::string data_dir_;
  const std::vector<std::string> more_args_;
  const std::vector<std::string> environment_;
  std::unique_ptr<DaemonProcess> process_;
  std::string address_;
  std::unique_ptr<HttpClient> client_;
  std::chrono::steady_clock::time_point launched_;
  double ready_ms_ = 0;
};

// What the state file, which no daemon uses now, holds; read from a copy by an
// SQLite of the test's own.
struct StateCopy {
  std::string integrity;                                    // "ok"
  std::vector<std::pair<std::string, std::string>> groups;  // key, value
};
StateCopy ReadState(const std::string& data_dir);

}  // namespace mlos::test
