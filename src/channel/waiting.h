// SPDX-License-Identifier: Apache-2.0
//
// How long to look before sleeping.  Spinning is fastest only while each side
// has a processor of its own; beside a third runnable thread it is thousands
// of times slower than sleeping.  So: spin for at most one measured wake-up,
// stop at the first gap in the clock (somebody else ran here), stay away from
// spinning for a while after that, and never spin on one processor.
// One Spinner per waiting thread; not synchronised.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace mlos::channel {

struct WaitCosts {
  // What a futex wake-up of a thread on another core may take: how long a spin
  // lasts at most.
  uint64_t wake_ns = 50'000;
  // That this thread may run on.  With one it never spins; an owner that pins a
  // thread and knows its peers to be elsewhere sets this to 2.
  uint32_t processors = 1;
};

// Measures once per process (about a millisecond), then remembers.  The
// processor count is read again for the calling thread.
WaitCosts Calibrate();

class Spinner {
 public:
  explicit Spinner(const WaitCosts& costs) : costs_(costs) {}

  // Looks until ready() is true, then true; false when it is time to sleep.
  // Success and failure of past spins decide whether it spins at all.
  template <typename Ready>
  bool Spin(Ready&& ready);

  // For tests and reports.
  bool willing() const { return backoff_ == 0; }

 private:
  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    asm volatile("yield");
#endif
  }
  // A single iteration that takes this long means that the thread was off its
  // processor.
  static constexpr uint64_t kGapNanos = 5'000;

  static constexpr int kLooksBeforeClock = 64;  // about a microsecond
  static constexpr int kLooksPerClock = 16;

  template <typename Ready>
  bool Look(Ready&& ready, int times);
  void Outcome(bool success, bool gap);

  WaitCosts costs_;
  uint32_t backoff_ = 0;   // calls still to be answered without spinning
  uint32_t failures_ = 0;  // in a row
};

template <typename Ready>
bool Spinner::Spin(Ready&& ready) {
  if (ready()) return true;
  if (costs_.processors < 2) return false;
  if (backoff_ > 0) {
    --backoff_;
    return false;
  }
  // Between two ends that are awake the answer comes before it would be worth
  // asking for the time.
  if (Look(ready, kLooksBeforeClock)) return true;
  const uint64_t start = NowNanos();
  uint64_t last = start;
  for (;;) {
    if (Look(ready, kLooksPerClock)) return true;
    const uint64_t now = NowNanos();
    const bool gap = now - last > kGapNanos;
    if (gap || now - start > costs_.wake_ns) {
      Outcome(false, gap);
      return ready();
    }
    last = now;
  }
}

template <typename Ready>
bool Spinner::Look(Ready&& ready, int times) {
  for (int i = 0; i < times; ++i) {
    if (ready()) {
      Outcome(true, false);
      return true;
    }
    Pause();
  }
  return false;
}

}  // namespace mlos::channel
