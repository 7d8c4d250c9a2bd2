// SPDX-License-Identifier: Apache-2.0
#include "base/log_writer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/clock.h"

namespace mlos {
namespace {

constexpr uint64_t kPatienceNanos = kNanosPerSecond;  // at the end
constexpr int kLookMillis = 50;                       // whether the end has come

// A pipe with room takes so much without blocking; whole lines where they fit.
size_t PieceOf(std::string_view lines) {
  if (lines.size() <= PIPE_BUF) return lines.size();
  const size_t end = lines.rfind('\n', PIPE_BUF - 1);
  return end == std::string_view::npos ? PIPE_BUF : end + 1;
}

}  // namespace

LogWriter::LogWriter(int fd, size_t max_bytes)
    : fd_(fd), max_bytes_(max_bytes), thread_([this] { Run(); }) {}

LogWriter::~LogWriter() {
  end_by_ns_ = NowNanos() + kPatienceNanos;
  {
    const MutexLock lock(mutex_);
    ending_ = true;
  }
  wake_.NotifyOne();
  thread_.join();
}

uint64_t LogWriter::Add(std::string_view line) {
  uint64_t untold = 0;
  bool idle = false;
  {
    const MutexLock lock(mutex_);
    if (lines_.size() + line.size() + 1 > max_bytes_) {
      ++untold_;
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return 0;
    }
    idle = lines_.empty();
    lines_.append(line);
    lines_ += '\n';
    untold = std::exchange(untold_, 0);
  }
  if (idle) wake_.NotifyOne();
  return untold;
}

void LogWriter::Run() {
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

bool LogWriter::GivenUp() const {
  const uint64_t end_by = end_by_ns_.load();
  return end_by != 0 && NowNanos() > end_by;
}

// False: the end has come, and the reader takes nothing.
bool LogWriter::Write(std::string_view lines) {
  while (!lines.empty()) {
    pollfd room{fd_, POLLOUT, 0};
    const int found = poll(&room, 1, kLookMillis);
    if (found <= 0 && (found == 0 || errno == EINTR)) {
      if (GivenUp()) return false;
      continue;
    }
    const ssize_t written = ::write(fd_, lines.data(), PieceOf(lines));
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

}  // namespace mlos
