// SPDX-License-Identifier: Apache-2.0
//
// floor_probe: what two threads of this machine pay, right now, to pass a word to each other and
// back. Benchmarks print it beside their figures, because it moves between runs and machines.
//
// Prints one line of JSON with medians in nanoseconds: `spin` (two cores, both polling),
// `futex_same` (one core, both sleep in a futex), `futex_cross` (two cores, both sleep). On a
// machine with one core the two-core figures are 0.

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "latency_histogram.h"

namespace mlos::bench {
namespace {

enum class Waiting { kSpin, kFutex };

// A word that goes up by one at each hand-over: even is the caller's turn, odd the other's.
struct Ball {
  alignas(64) std::atomic<uint32_t> turn{0};
};

void Await(Ball& ball, uint32_t turn, Waiting waiting) {
  for (uint32_t seen; (seen = ball.turn.load(std::memory_order_acquire)) != turn;) {
    if (waiting == Waiting::kFutex) {
      ::syscall(SYS_futex, &ball.turn, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    }
  }
}

void Pass(Ball& ball, uint32_t turn, Waiting waiting) {
  ball.turn.store(turn, std::memory_order_release);
  if (waiting == Waiting::kFutex) {
    ::syscall(SYS_futex, &ball.turn, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
}

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set);
}

// The median of `rounds` round trips between a thread on `here` and one on `there`.
uint64_t RoundTrip(int here, int there, Waiting waiting, uint32_t rounds) {
  Ball ball;
  PinTo(here);
  std::thread other([&] {
    PinTo(there);
    for (uint32_t i = 0; i < rounds; ++i) {
      Await(ball, 2 * i + 1, waiting);
      Pass(ball, 2 * i + 2, waiting);
    }
  });
  LatencyHistogram histogram;
  for (uint32_t i = 0; i < rounds; ++i) {
    const uint64_t begin = NowNanos();
    Pass(ball, 2 * i + 1, waiting);
    Await(ball, 2 * i + 2, waiting);
    histogram.Record(NowNanos() - begin);
  }
  other.join();
  return histogram.Quantile(0.5);
}

std::vector<int> UsableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace
}  // namespace mlos::bench

int main() {
  using namespace mlos::bench;
  const std::vector<int> cpus = UsableCpus();
  const int first = cpus.front(), second = cpus.back();
  const bool two = first != second;
  const uint64_t spin = two ? RoundTrip(first, second, Waiting::kSpin, 5000) : 0;
  const uint64_t same = RoundTrip(first, first, Waiting::kFutex, 500);
  const uint64_t cross = two ? RoundTrip(first, second, Waiting::kFutex, 100) : 0;
  std::printf("{\"spin\":%llu,\"futex_same\":%llu,\"futex_cross\":%llu}\n",
              static_cast<unsigned long long>(spin), static_cast<unsigned long long>(same),
              static_cast<unsigned long long>(cross));
  return 0;
}
