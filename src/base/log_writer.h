// SPDX-License-Identifier: Apache-2.0
//
// Writes lines to a descriptor on a thread of its own, so that whoever reads a
// log cannot hold up those who write it.  What is not written yet is bounded;
// lines that find no room are dropped and counted.
//
// Threads: any may add; one makes and ends it, when nobody adds any more.
// Lifetime: borrows the descriptor.  Its end writes what there is, and waits a
// second at most for a reader that takes nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "base/mutex.h"

namespace mlos {

class LogWriter {
 public:
  explicit LogWriter(int fd, size_t max_bytes = 1 << 20);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Without the line's end.  Returns how many were dropped since the last line
  // that was taken, once: for whoever added this one to say so.
  uint64_t Add(std::string_view line);
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void Run();
  bool Write(std::string_view lines);
  bool GivenUp() const;

  const int fd_;
  const size_t max_bytes_;
  Mutex mutex_;
  CondVar wake_;
  std::string lines_ MLOS_GUARDED_BY(mutex_);
  uint64_t untold_ MLOS_GUARDED_BY(mutex_) = 0;
  bool ending_ MLOS_GUARDED_BY(mutex_) = false;
  std::atomic<uint64_t> end_by_ns_{0};  // 0: it goes on
  std::atomic<uint64_t> dropped_{0};
  std::thread thread_;
};

}  // namespace mlos
