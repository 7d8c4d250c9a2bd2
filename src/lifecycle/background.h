// SPDX-License-Identifier: Apache-2.0
//
// Work that would hold up the control loop, on a thread of its own and below
// everything that answers requests: checksums and copies of files.
//
// Threads: the control loop only, but for LetGo; results come there.  Ends its
// thread, and drops what was not begun, with its life.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "base/mutex.h"
#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::lifecycle {

// What somebody waits for comes first; each kind in the order in which it came.
enum class Urgency { kNow, kWhenIdle };
// Of what somebody waits for.  What is done when idle is bounded by the catalog.
constexpr size_t kMostJobs = 1024;

class Background {
 public:
  explicit Background(EventLoop& control);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // `work` runs on the thread; what it returns runs on the control loop.  Work
  // that takes long looks at its argument, and gives up once that is set.  What
  // both hold is let go of on the control loop, after the result.
  using Result = std::function<void()>;
  using Work = std::function<Result(const std::atomic<bool>& stop)>;
  // `failed` runs on the control loop instead, where the work threw (there was no
  // memory for it, say) or, of what somebody waits for, too much waits already.
  using Failed = std::function<void(const Status&)>;
  void Do(Urgency urgency, Work work, Failed failed = nullptr);

  // Drops it on the thread, in its turn among what somebody waits for; where
  // there is no memory for that, here.  Any thread.  Bounded by who calls it.
  void LetGo(std::shared_ptr<const void> what);

  // The checksums of the files, in their order.
  using Sums = StatusOr<std::vector<std::string>>;
  void Checksum(std::vector<OwnedFd> files, Urgency urgency, const std::function<void(Sums)>& done);

 private:
  struct Job {
    Work work;
    Failed failed;
  };
  void Run();
  bool Queue(Urgency urgency, Job* job);
  static Result Try(const Job& job, const std::atomic<bool>& stop);

  EventLoop& control_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Job> now_ MLOS_GUARDED_BY(mutex_);
  std::deque<Job> idle_ MLOS_GUARDED_BY(mutex_);
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace mlos::lifecycle
