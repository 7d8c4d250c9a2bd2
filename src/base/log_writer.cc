// SPDX-License-Identifier: Apache-2.0
#include "base/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/owned_fd.h"

namespace mlos {
namespace {

constexpr uint64_t kPatienceNanos = kNanosPerSecond;  // at the end
constexpr int kLookMillis = 50;                       // whether the end has come
// When a thread that can still look has given up.
constexpr uint64_t kLeaveNanos = kPatienceNanos + 4 * kLookMillis * kNanosPerMilli;

// A pipe with room takes so much without blocking; whole lines where they fit.
size_t PieceOf(std::string_view lines) {
  if (lines.size() <= PIPE_BUF) return lines.size();
  const size_t end = lines.rfind('\n', PIPE_BUF - 1);
  return end == std::string_view::npos ? PIPE_BUF : end + 1;
}

}  // namespace

// What the thread uses.  A write blocks also where there was room: a terminal
// takes less than a piece, and what others write takes the room of a pipe.
class LogWriter::Shared {
 public:
  Shared(int fd, size_t max_bytes) : fd_(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), max_bytes_(max_bytes) {}

  bool Add(std::string_view line, uint64_t* untold) {
    bool idle = false;
    {
      const MutexLock lock(mutex_);
      if (lines_.size() + line.size() + 1 > max_bytes_) {
        ++untold_;
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
      idle = lines_.empty();
      lines_.append(line);
      lines_ += '\n';
      if (untold != nullptr) *untold = std::exchange(untold_, 0);
    }
    if (idle) wake_.NotifyOne();
    return true;
  }

  void GiveBack(uint64_t untold) {
    const MutexLock lock(mutex_);
    untold_ += untold;
  }

  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  void Run() {
    WriteAll();
    const MutexLock lock(mutex_);
    ended_ = true;
    end_.NotifyOne();
  }

  // True: the thread is done.
  bool End() {
    const uint64_t now = NowNanos();
    end_by_ns_ = now + kPatienceNanos;
    const MutexLock lock(mutex_);
    ending_ = true;
    wake_.NotifyOne();
    const uint64_t leave = now + kLeaveNanos;
    for (uint64_t at = now; !ended_ && at < leave; at = NowNanos()) {
      end_.WaitFor(mutex_, std::chrono::nanoseconds(leave - at));
    }
    return ended_;
  }

 private:
  void WriteAll() {
    std::string taken;
    for (;;) {
      {
        const MutexLock lock(mutex_);
        while (lines_.empty() && !ending_) wake_.Wait(mutex_);
        if (lines_.empty()) return;
        taken.clear();
        taken.swap(lines_);
      }
      if (!Write(taken)) return;
    }
  }

  bool GivenUp() const {
    const uint64_t end_by = end_by_ns_.load();
    return end_by != 0 && NowNanos() > end_by;
  }

  // False: the end has come, and the reader takes nothing.
  bool Write(std::string_view lines) {
    while (!lines.empty()) {
      if (GivenUp()) return false;
      pollfd room{fd_.get(), POLLOUT, 0};
      const int found = ::poll(&room, 1, kLookMillis);
      if (found <= 0 && (found == 0 || errno == EINTR)) continue;
      const ssize_t written = ::write(fd_.get(), lines.data(), PieceOf(lines));
      if (written > 0) {
        lines.remove_prefix(static_cast<size_t>(written));
      } else if (errno != EINTR && errno != EAGAIN) {
        // Nobody reads it: the lines go where they would have gone.
        dropped_.fetch_add(static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n')),
                           std::memory_order_relaxed);
        return true;
      }
    }
    return true;
  }

  const OwnedFd fd_;
  const size_t max_bytes_;
  Mutex mutex_;
  CondVar wake_;
  CondVar end_;
  std::string lines_ MLOS_GUARDED_BY(mutex_);
  uint64_t untold_ MLOS_GUARDED_BY(mutex_) = 0;
  bool ending_ MLOS_GUARDED_BY(mutex_) = false;
  bool ended_ MLOS_GUARDED_BY(mutex_) = false;
  std::atomic<uint64_t> end_by_ns_{0};  // 0: it goes on
  std::atomic<uint64_t> dropped_{0};
};

LogWriter::LogWriter(int fd, size_t max_bytes)
    : shared_(std::make_shared<Shared>(fd, max_bytes)),
      thread_([shared = shared_] { shared->Run(); }) {}

LogWriter::~LogWriter() {
  if (shared_->End()) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

bool LogWriter::Add(std::string_view line, uint64_t* untold) { return shared_->Add(line, untold); }

void LogWriter::GiveBack(uint64_t untold) { shared_->GiveBack(untold); }

uint64_t LogWriter::dropped() const { return shared_->dropped(); }

}  // namespace mlos
