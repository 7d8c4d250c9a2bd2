// SPDX-License-Identifier: Apache-2.0
//
// Going to sleep and waking, without a lost wake-up and without a system call
// while the other end is awake.
//
// The sleeper:  stores its flag;  looks at the hints;  sleeps if there is none.
// The waker:    raises a hint;    looks at the flag;   wakes if it is set.
//
// All four accesses are seq_cst, so they have one order that everybody agrees
// on.  If the sleeper's look came before the hint, then its flag was stored
// before the waker looks, which therefore sees it; otherwise the sleeper sees
// the hint.  Between flag and futex call the kernel closes the gap: it sleeps
// only if the word still is what the sleeper stored, and the waker changes the
// word before it wakes.  A descriptor keeps its event until it is read.
//
// The flag is taken by exchange, so that of several wakers one makes the
// system call.  Nothing here trusts the value of a flag that a peer can write:
// a wrong one costs that peer its wake-ups and us at most one system call.
#pragma once

#include <cstdint>

#include "base/owned_fd.h"
#include "base/status.h"
#include "channel/layout.h"

namespace mlos::channel {

// To be called after a hint was raised: how the other end has to be woken.
template <typename Atomic>
Sleep TakeSleeper(Atomic& flag) {
  if (flag.load(std::memory_order_seq_cst) == static_cast<uint32_t>(Sleep::kAwake)) {
    return Sleep::kAwake;
  }
  return static_cast<Sleep>(
      flag.exchange(static_cast<uint32_t>(Sleep::kAwake), std::memory_order_seq_cst));
}

// True: sleep.  False: there is work; *rung says whether a waker took the flag
// in the meantime, so that its event is on the way.
template <typename Atomic, typename HasWork>
bool AnnounceSleep(Atomic& flag, Sleep how, HasWork&& has_work, bool* rung) {
  flag.store(static_cast<uint32_t>(how), std::memory_order_seq_cst);
  if (!has_work()) return true;
  *rung = TakeSleeper(flag) == Sleep::kAwake;
  return false;
}

// What one end sleeps with.  An event descriptor has to be harmless to both
// ends, and a descriptor that two processes share is not: each can make it a
// blocking one, fill it or empty it, and the other one's next call stands
// still.  So:
//  - the consumer sleeps on one end of a pair of stream sockets: each end has
//    an open file of its own, and every call says itself that it must not
//    block.  Front ends ring here, and no plugin host may stop them.
//  - the producer sleeps on an eventfd, which is a third cheaper, and which it
//    only ever reads, in a way that cannot block.  A hostile producer can stop
//    the host thread that rings it; the host's watchdog is for such things.
enum class EventKind { kSocket, kEventFd };

class Sleeper {
 public:
  Sleeper() = default;
  Sleeper(Doorbell* bell, OwnedFd event, EventKind kind)
      : bell_(bell), event_(std::move(event)), kind_(kind) {}

  template <typename HasWork>
  bool Prepare(Sleep how, HasWork&& has_work) {
    how_ = how;
    bool rung = false;
    if (AnnounceSleep(bell_->sleep, how, has_work, &rung)) {
      announced_ = true;
      return true;
    }
    event_left_ |= rung && how == Sleep::kEventFd;
    return false;
  }
  // Sleeps until rung, at most until `deadline_ns` (CLOCK_MONOTONIC;
  // UINT64_MAX: no limit).  May return early.
  void Futex(uint64_t deadline_ns);
  // Awake again: takes back the event that a waker has left, if any did.
  void Finish();
  // For owners that watch the descriptor: it was found readable.  Awake, and
  // nothing is left in it, whoever put it there.
  void OnReadable();
  int event() const { return event_.get(); }

 private:
  void TakeBackFlag();
  bool Drain();

  Doorbell* bell_ = nullptr;
  OwnedFd event_;
  EventKind kind_ = EventKind::kSocket;
  Sleep how_ = Sleep::kAwake;
  bool announced_ = false;   // the flag was set and not taken back yet
  bool event_left_ = false;  // an event has been or will be left
};

// Wakes whoever sleeps behind `bell`, if anybody does; `event` is the other end
// of its sockets, or its eventfd.
void Ring(Doorbell& bell, int event, EventKind kind);

// The two ends: for the sleeper, for the waker.
struct SocketPair {
  OwnedFd sleeper;
  OwnedFd waker;
};
StatusOr<SocketPair> MakeSocketPair();
StatusOr<OwnedFd> MakeEventFd();

}  // namespace mlos::channel
