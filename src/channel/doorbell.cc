// SPDX-License-Identifier: Apache-2.0
#include "channel/doorbell.h"

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

namespace mlos::channel {

namespace {

// Not the private kind: the two ends are two processes.
long FutexCall(std::atomic<uint32_t>& word, int operation, uint32_t value,
               const timespec* timeout) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, timeout, nullptr,
                 FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void Sleeper::Futex(uint64_t deadline_ns) {
  timespec until;
  until.tv_sec = static_cast<time_t>(deadline_ns / kNanosPerSecond);
  until.tv_nsec = static_cast<long>(deadline_ns % kNanosPerSecond);
  // The bitset kind takes an absolute time of CLOCK_MONOTONIC.
  FutexCall(bell_->sleep, FUTEX_WAIT_BITSET, static_cast<uint32_t>(Sleep::kFutex),
            deadline_ns == UINT64_MAX ? nullptr : &until);
}

void Sleeper::TakeBackFlag() {
  if (!announced_) return;
  announced_ = false;
  const bool rung = TakeSleeper(bell_->sleep) == Sleep::kAwake;
  event_left_ |= rung && how_ == Sleep::kEventFd;
}

void Sleeper::Finish() {
  TakeBackFlag();
  // If the waker has taken the flag and not left its event yet, it is looked
  // for again the next time.
  if (event_left_ && Drain()) event_left_ = false;
}

void Sleeper::OnReadable() {
  TakeBackFlag();
  Drain();
  event_left_ = false;
}

// True if something was there.  Neither way depends on the descriptor's own
// mode, which a peer may have changed.
bool Sleeper::Drain() {
  char buffer[64];  // more than one ring is rare
  if (kind_ == EventKind::kEventFd) {
    iovec whole = {buffer, sizeof(uint64_t)};
    return preadv2(event_.get(), &whole, 1, -1, RWF_NOWAIT) > 0;
  }
  return recv(event_.get(), buffer, sizeof(buffer), MSG_DONTWAIT) > 0;
}

void Ring(Doorbell& bell, int event, EventKind kind) {
  const Sleep how = TakeSleeper(bell.sleep);
  if (how == Sleep::kFutex) {
    FutexCall(bell.sleep, FUTEX_WAKE, 1, nullptr);
  } else if (how == Sleep::kEventFd) {
    // An error means that the sleeper has events to find, or is gone.
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t sent = kind == EventKind::kSocket
                                              ? send(event, &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL)
                                              : write(event, &one, sizeof(one));
  }
}

StatusOr<SocketPair> MakeSocketPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return ErrnoStatus("cannot make a pair of sockets");
  }
  return SocketPair{OwnedFd(ends[0]), OwnedFd(ends[1])};
}

StatusOr<OwnedFd> MakeEventFd() {
  OwnedFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return ErrnoStatus("cannot make an event descriptor");
  return event;
}

}  // namespace mlos::channel
