// SPDX-License-Identifier: Apache-2.0
#include "channel/waiting.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <system_error>
#include <thread>

namespace mlos::channel {

namespace {

constexpr uint64_t kBudgetNanos = 1 * kNanosPerMilli;
constexpr uint32_t kMostRounds = 64;
// Of any one sleep while measuring: on a machine that is too busy to answer the
// default will do.
constexpr uint64_t kPatienceNanos = 20 * kNanosPerMilli;

struct PingPong {
  std::atomic<uint32_t> turn = 0;  // counts up; even: the first thread's
  std::atomic<bool> over = false;
};

void SleepWhile(std::atomic<uint32_t>& word, uint32_t value) {
  const timespec patience = {0, static_cast<long>(kPatienceNanos)};
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, &patience,
          nullptr, 0);
}

void Advance(std::atomic<uint32_t>& word) {
  word.fetch_add(1, std::memory_order_seq_cst);
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr,
          0);
}

bool PinTo(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  return sched_setaffinity(0, sizeof(one), &one) == 0;
}

void Answer(PingPong& game, int processor) {
  PinTo(processor);
  while (!game.over.load(std::memory_order_acquire)) {
    const uint32_t turn = game.turn.load(std::memory_order_acquire);
    if (turn % 2 == 1) {
      Advance(game.turn);
    } else {
      SleepWhile(game.turn, turn);
    }
  }
}

// The median of half a round trip; 0 if it could not be measured.
uint64_t Ask(PingPong& game, int processor) {
  if (!PinTo(processor)) return 0;
  std::array<uint64_t, kMostRounds> rounds;
  uint32_t count = 0;
  const uint64_t begin = NowNanos();
  uint64_t now = begin;
  while (count < kMostRounds && now - begin < kBudgetNanos) {
    const uint64_t asked = now;
    Advance(game.turn);
    for (;;) {
      const uint32_t turn = game.turn.load(std::memory_order_acquire);
      now = NowNanos();
      if (turn % 2 == 0) break;
      if (now - asked > kPatienceNanos) return 0;
      SleepWhile(game.turn, turn);
    }
    rounds[count++] = (now - asked) / 2;
  }
  std::sort(rounds.begin(), rounds.begin() + count);
  return rounds[count / 2];
}

// Two threads of its own, so that the caller's affinity stays as it is.
uint64_t MeasureWake(int first, int second) {
  PingPong game;
  uint64_t result = 0;
  try {
    std::thread answering([&] { Answer(game, second); });
    try {
      std::thread asking([&] { result = Ask(game, first); });
      asking.join();
    } catch (const std::system_error&) {
      result = 0;
    }
    game.over.store(true, std::memory_order_release);
    Advance(game.turn);
    answering.join();
  } catch (const std::system_error&) {
    return 0;  // no threads to be had: the default stands
  }
  return result;
}

// Twice the median: a core that has gone to sleep takes about twice as long to
// wake as one that was busy a moment ago, and which of them was measured is
// chance.  A spin that is to catch an answer whose author has to be woken must
// last for his whole wake-up; if it is a little too short, both ends miss each
// other for ever, and neither finds out that spinning would work.
uint64_t MeasureOnce() {
  constexpr uint64_t kLeast = 2'000, kMost = 150'000;
  cpu_set_t mine;
  uint64_t measured = 0;
  if (sched_getaffinity(0, sizeof(mine), &mine) == 0 && CPU_COUNT(&mine) >= 2) {
    int found[2];
    int count = 0;
    for (int i = 0; i < CPU_SETSIZE && count < 2; ++i) {
      if (CPU_ISSET(i, &mine)) found[count++] = i;
    }
    measured = MeasureWake(found[0], found[1]);
  }
  return measured == 0 ? WaitCosts{}.wake_ns : std::clamp(measured * 2, kLeast, kMost);
}

}  // namespace

WaitCosts Calibrate() {
  static const uint64_t wake_ns = MeasureOnce();
  WaitCosts costs;
  costs.wake_ns = wake_ns;
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof(mine), &mine) == 0) {
    costs.processors = static_cast<uint32_t>(CPU_COUNT(&mine));
  }
  return costs;
}

// A gap in the clock says that somebody else wants this processor: spinning
// took time from him, and he from us.  A failed spin says only that the answer
// takes longer than a wake-up, which costs that much processor time per call;
// one does not count, a row of them does.  Either way: leave it for a number
// of calls that doubles while nothing changes.  A success wipes it all out.
void Spinner::Outcome(bool success, bool gap) {
  constexpr uint32_t kFirstBackoff = 64;
  constexpr uint32_t kMostDoublings = 6;  // 64 << 6 = 4096
  constexpr uint32_t kMissesForgiven = 3;
  if (success) {
    failures_ = 0;
    return;
  }
  failures_ = gap ? std::max(failures_, kMissesForgiven) + 1 : failures_ + 1;
  if (failures_ <= kMissesForgiven) return;
  backoff_ = kFirstBackoff << std::min(failures_ - kMissesForgiven - 1, kMostDoublings);
}

}  // namespace mlos::channel
