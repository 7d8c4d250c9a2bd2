// SPDX-License-Identifier: Apache-2.0
//
// std::mutex with clang's lock annotations, checked by the preset
// `thread-safety`.  Not Abseil's mutex: the packaged one is not instrumented
// and gives the thread sanitizer false races.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define MLOS_TSA(x) __attribute__((x))
#else
#define MLOS_TSA(x)
#endif
#define MLOS_GUARDED_BY(x) MLOS_TSA(guarded_by(x))
#define MLOS_REQUIRES(...) MLOS_TSA(requires_capability(__VA_ARGS__))
#define MLOS_EXCLUDES(...) MLOS_TSA(locks_excluded(__VA_ARGS__))

namespace mlos {

class MLOS_TSA(capability("mutex")) Mutex {
 public:
  void Lock() MLOS_TSA(acquire_capability()) { mutex_.lock(); }
  void Unlock() MLOS_TSA(release_capability()) { mutex_.unlock(); }
  bool TryLock() MLOS_TSA(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class MLOS_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) MLOS_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() MLOS_TSA(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  // The caller holds `mutex`; it is released while waiting.
  void Wait(Mutex& mutex) MLOS_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False: it has not been notified in that time.
  bool WaitFor(Mutex& mutex, std::chrono::nanoseconds limit) MLOS_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool notified = condition_.wait_for(lock, limit) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace mlos
