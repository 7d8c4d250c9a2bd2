// SPDX-License-Identifier: Apache-2.0
#include "channel/doorbell.h"

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

namespace mlos::channel {

namespace {

// Not the private kind: the two ends are two processes.
long Futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, timeout, nullptr,
                 FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void Ring(Doorbell& bell, int event_fd) {
  switch (TakeSleeper(bell.sleep)) {
    case Sleep::kEventFd: {
      const uint64_t one = 1;
      // A full counter means that the sleeper has events to find.
      [[maybe_unused]] const ssize_t written = write(event_fd, &one, sizeof(one));
      break;
    }
    case Sleep::kFutex:
      Futex(bell.sleep, FUTEX_WAKE, 1, nullptr);
      break;
    default:
      break;
  }
}

void FutexWait(Doorbell& bell, uint64_t deadline_ns) {
  timespec until;
  until.tv_sec = static_cast<time_t>(deadline_ns / kNanosPerSecond);
  until.tv_nsec = static_cast<long>(deadline_ns % kNanosPerSecond);
  // The bitset kind takes an absolute time of CLOCK_MONOTONIC.
  Futex(bell.sleep, FUTEX_WAIT_BITSET, static_cast<uint32_t>(Sleep::kFutex),
        deadline_ns == UINT64_MAX ? nullptr : &until);
}

StatusOr<OwnedFd> MakeEvent() {
  OwnedFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return ErrnoStatus("cannot make an event descriptor");
  return event;
}

void DrainEvent(int event_fd) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(event_fd, &count, sizeof(count));
}

}  // namespace mlos::channel
