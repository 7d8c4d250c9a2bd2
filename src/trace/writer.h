// SPDX-License-Identifier: Apache-2.0
//
// Writes records to files, on a thread of its own and of low priority, which
// begins with the first record.
//
// A file is a JSON array.  Where records say that so many make a file, files
// are FILE.0, FILE.1, …; else all go into FILE, which is complete when the
// writer ends.  What an earlier run wrote is replaced.
//
// Threads: Offer may be called by any.  Lifetime: its end writes what is
// queued and completes the file.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/owned_fd.h"
#include "trace/record.h"

namespace mlos::trace {

class Writer {
 public:
  static constexpr size_t kMostQueued = 1024;
  static constexpr size_t kMostQueuedBytes = 16 << 20;

  // Writes `max_bytes` in all, and no more.
  Writer(std::string file, uint64_t max_bytes) : file_(std::move(file)), max_bytes_(max_bytes) {}
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  const std::string& file() const { return file_; }
  // Takes the record, or drops it where too many wait: does not wait itself.
  void Offer(std::unique_ptr<Record> record);
  // Records that are in no file.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  bool StartThread() MLOS_REQUIRES(mutex_);
  void Run();
  void Write(const Record& record);
  bool Open(uint32_t log_frequency);
  void Close();
  bool Put(std::string_view text);
  void Drop() { dropped_.fetch_add(1, std::memory_order_relaxed); }

  const std::string file_;
  const uint64_t max_bytes_;
  std::atomic<uint64_t> dropped_{0};
  Mutex mutex_;
  CondVar wake_;
  std::deque<std::unique_ptr<Record>> queue_ MLOS_GUARDED_BY(mutex_);
  size_t queued_bytes_ MLOS_GUARDED_BY(mutex_) = 0;
  bool ending_ MLOS_GUARDED_BY(mutex_) = false;
  std::thread thread_ MLOS_GUARDED_BY(mutex_);
  bool starved_ MLOS_GUARDED_BY(mutex_) = false;  // there was no thread, and the log says so

  // The thread's:
  OwnedFd fd_;
  uint32_t frequency_ = 0;  // of the open file
  uint32_t in_file_ = 0;    // records
  uint32_t next_ = 0;       // number of the next file
  bool plain_used_ = false;
  bool complained_ = false;
  uint64_t written_ = 0;
};

}  // namespace mlos::trace
