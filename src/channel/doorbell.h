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

template <typename Atomic, typename HasWork>
bool AnnounceSleep(Atomic& flag, Sleep how, HasWork&& has_work) {
  flag.store(static_cast<uint32_t>(how), std::memory_order_seq_cst);
  if (!has_work()) return true;
  flag.store(static_cast<uint32_t>(Sleep::kAwake), std::memory_order_seq_cst);
  return false;
}

// To be called after a hint was raised: how the other end has to be woken.
template <typename Atomic>
Sleep TakeSleeper(Atomic& flag) {
  if (flag.load(std::memory_order_seq_cst) == static_cast<uint32_t>(Sleep::kAwake)) {
    return Sleep::kAwake;
  }
  return static_cast<Sleep>(
      flag.exchange(static_cast<uint32_t>(Sleep::kAwake), std::memory_order_seq_cst));
}

// Wakes whoever sleeps behind `bell`, if anybody does.
void Ring(Doorbell& bell, int event_fd);
// Sleeps until `bell` is rung, at most until `deadline_ns` (CLOCK_MONOTONIC;
// UINT64_MAX: no limit).  May return early.
void FutexWait(Doorbell& bell, uint64_t deadline_ns);

StatusOr<OwnedFd> MakeEvent();
// Takes back what woke the sleeper.  Never blocks.
void DrainEvent(int event_fd);

}  // namespace mlos::channel
