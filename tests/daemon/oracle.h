// SPDX-License-Identifier: Apache-2.0
//
// What every attack is judged by, whatever else it is to come to:
//
//   the daemon is the same process, no plugin host has died;
//   its descriptors, threads and memory are what they were before;
//   a bystander, who infers all the time on a connection of his own, has lost
//   no request at all, and 99 of 100 were answered about as fast as before.
//
// Descriptors and threads are compared exactly; with the descriptors the
// channels' segments, whose pages stay for the next requests.  The daemon's own
// memory may be 2 % and 8 MiB more: allocators keep some.  The bystander's 99th percentile is
// compared with that of a calm time just before, in the same run, and may be ten times as long, or
// 200 ms: attackers and daemon share the machine's few cores, so that attackers who merely compute
// slow him down.  That catches what an attack must not do, hold up the loop that serves everybody.
// On a machine with cores to spare MLOS_ORACLE_FACTOR=1.5 asks for that factor and grants no
// milliseconds.
//
// One thread; the bystander has his own.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"

namespace mlos::test {

// Memory that a sanitizer keeps back, or nothing.
uint64_t SanitizerSlack();

// What is resident of the process's own memory: not of files, not of channels.
uint64_t OwnRssBytes(pid_t pid);
size_t CountThreads(pid_t pid);
// This process may then have as many descriptors as the system lets it, for a thousand peers.
void RaiseDescriptorLimit();
// The most that was resident since ResetPeakRss.
uint64_t PeakRssBytes(pid_t pid);
void ResetPeakRss(pid_t pid);

// Infers, one request after the other, a millisecond apart.
class Bystander {
 public:
  struct Window {
    size_t answers = 0;
    std::vector<std::string> lost;  // what came instead of the right answer
    double p99_ms = 0;
  };

  explicit Bystander(const std::string& address);
  ~Bystander();
  size_t answers() const { return answers_; }
  // What happened since the last call.
  Window Take();

 private:
  void Infer(HttpClient& client);

  std::atomic<bool> stop_{false};
  std::atomic<size_t> answers_{0};
  std::mutex mutex_;
  std::vector<double> times_ms_;
  std::vector<std::string> lost_;
  std::thread thread_;
};

class Oracle {
 public:
  // Looks at the daemon as it is now, and at the bystander for a calm moment.  The daemon has the
  // template plugin's model "bystander".  `address`: the bystander's, if not the daemon's first.
  explicit Oracle(Daemon& daemon, const std::string& address = {});
  // After the attack.
  void Check();
  // Waits until the bystander has had this many answers more.
  void Await(size_t answers);

 private:
  void CheckFootprint();
  void CheckBystander();

  Daemon& daemon_;
  const pid_t pid_;
  std::map<std::string, Daemon::Host> hosts_;
  std::unique_ptr<Bystander> bystander_;
  Bystander::Window calm_;
  size_t fds_ = 0;  // without the segments
  size_t segments_ = 0;
  size_t threads_ = 0;
  uint64_t rss_ = 0;
};

// A test starts its daemon, brings what it attacks, then watches; the rest of it is the attack.
class AttackTest : public testing::Test {
 protected:
  void Start(const std::vector<std::string>& args = {});
  // The bystander calls `address`, by default the daemon's first.
  void Watch(const std::string& address = {});
  void TearDown() override;

  Daemon& daemon() { return *daemon_; }
  Oracle& oracle() { return *oracle_; }

 private:
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Oracle> oracle_;
};

}  // namespace mlos::test
