// SPDX-License-Identifier: Apache-2.0
//
// The real mlosd as a child process of a test, and what /proc says of it.
// Started and ended by one thread (the kernel ties it to that thread's life);
// const functions may be called by any.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mlos::test {

// True as soon as `condition` is; false after the limit.
bool WaitUntil(const std::function<bool()>& condition,
               std::chrono::milliseconds limit = std::chrono::seconds(30));

// A directory of the test's own, removed with all that is in it.
class TempDir {
 public:
  explicit TempDir(const std::string& parent = std::filesystem::temp_directory_path());
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ReadWhole(const std::string& path);
void WriteWhole(const std::string& path, const std::string& content);

// Of any process; a zombie counts as gone.
bool IsAlive(pid_t pid);
// Signals exactly one process.  False, and no signal, for what is not the number of one: 0, -1 and
// other negative numbers mean many processes to the kernel, -1 all that there are.
bool SignalOne(pid_t pid, int number);
size_t CountFds(pid_t pid);
// Of those, the segments of channels: memory for requests and answers.
size_t CountSegments(pid_t pid);
uint64_t RssBytes(pid_t pid);
std::string Maps(pid_t pid);

class DaemonProcess {
 public:
  // Runs mlosd with exactly these arguments and, on top of the test's own, these
  // "NAME=value" ("NAME=": the daemon's default); its output goes to `log`.
  DaemonProcess(const std::vector<std::string>& args, std::string log,
                const std::vector<std::string>& environment = {});
  ~DaemonProcess();  // kills it if it still runs
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  void Signal(int number) const;
  // The exit status, or 128 + the signal that ended it; nothing after the limit.
  std::optional<int> WaitExit(std::chrono::milliseconds limit = std::chrono::seconds(60));
  std::string log() const { return ReadWhole(log_); }

 private:
  bool Reap();

  pid_t pid_ = -1;
  std::optional<int> exit_;
  std::string log_;
};

// Runs mlosd until it ends by itself.
struct Ended {
  int status = -1;  // -1: it had to be killed
  std::string output;
};
Ended RunMlosd(const std::vector<std::string>& args,
               const std::vector<std::string>& environment = {});

}  // namespace mlos::test
