// SPDX-License-Identifier: Apache-2.0
#include "channel/waiting.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <thread>

namespace mlos::channel {
namespace {

// Longer than a gap in the clock.
void BeOffTheProcessor() {
  const uint64_t until = NowNanos() + 100'000;
  while (NowNanos() < until) {
  }
}

WaitCosts TwoProcessors(uint64_t wake_ns = 50'000) { return {wake_ns, 2}; }

TEST(CalibrateTest, IsPlausibleFastAndLeavesTheAffinityAlone) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  Calibrate();
  const uint64_t start = NowNanos();
  const WaitCosts costs = Calibrate();
  EXPECT_LT(NowNanos() - start, 10 * kNanosPerMilli);  // remembered
  ASSERT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  EXPECT_GE(costs.wake_ns, 2'000u);
  EXPECT_LE(costs.wake_ns, 150'000u);
  EXPECT_EQ(costs.processors, static_cast<uint32_t>(CPU_COUNT(&before)));
  RecordProperty("wake_ns", std::to_string(costs.wake_ns));
}

TEST(CalibrateTest, CountsTheProcessorsOfTheCallingThread) {
  uint32_t processors = 0;
  std::thread pinned([&] {
    cpu_set_t mine;
    ASSERT_EQ(sched_getaffinity(0, sizeof(mine), &mine), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (!CPU_ISSET(i, &mine)) continue;
      CPU_SET(i, &one);
      break;
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    processors = Calibrate().processors;
  });
  pinned.join();
  EXPECT_EQ(processors, 1u);
}

TEST(SpinnerTest, DoesNotSpinOnOneProcessor) {
  Spinner spinner(WaitCosts{50'000, 1});
  int looks = 0;
  EXPECT_FALSE(spinner.Spin([&] { return ++looks > 1; }));
  EXPECT_EQ(looks, 1);
  EXPECT_TRUE(spinner.Spin([] { return true; }));
}

TEST(SpinnerTest, FindsWhatComesWhileItLooks) {
  Spinner spinner(TwoProcessors());
  int looks = 0;
  EXPECT_TRUE(spinner.Spin([&] { return ++looks > 10; }));
  EXPECT_EQ(looks, 11);
  EXPECT_TRUE(spinner.willing());
}

TEST(SpinnerTest, GivesUpAfterOneWakeUp) {
  Spinner spinner(TwoProcessors(100'000));
  const uint64_t start = NowNanos();
  EXPECT_FALSE(spinner.Spin([] { return false; }));
  // The upper bound leaves room for a busy machine; the lower is the promise,
  // unless a gap in the clock ended the spin.
  EXPECT_LT(NowNanos() - start, kNanosPerSecond);
}

TEST(SpinnerTest, AGapInTheClockEndsSpinningForAWhile) {
  Spinner spinner(TwoProcessors(kNanosPerSecond));
  int looks = 0;
  EXPECT_FALSE(spinner.Spin([&] {
    if (++looks == 100) BeOffTheProcessor();
    return false;
  }));
  EXPECT_LT(looks, 200);
  EXPECT_FALSE(spinner.willing());
  int calls = 0;
  while (!spinner.willing()) {
    int looked = 0;
    EXPECT_FALSE(spinner.Spin([&] { return ++looked > 1; }));
    EXPECT_EQ(looked, 1);
    ASSERT_LT(++calls, 5000);
  }
  const int first = calls;
  EXPECT_GE(first, 32);
  // The next gap costs more calls, up to a bound.
  for (int round = 0; round < 12; ++round) {
    spinner.Spin([&] {
      BeOffTheProcessor();
      return false;
    });
    calls = 0;
    while (!spinner.willing()) {
      spinner.Spin([] { return false; });
      ASSERT_LT(++calls, 5000);
    }
  }
  EXPECT_GT(calls, first * 8);
}

TEST(SpinnerTest, OneMissIsForgivenARowIsNot) {
  Spinner spinner(TwoProcessors(1));  // every spin misses at once
  int looks_until_unwilling = 0;
  while (spinner.willing() && looks_until_unwilling < 100) {
    spinner.Spin([] { return false; });
    ++looks_until_unwilling;
  }
  EXPECT_GT(looks_until_unwilling, 1);
  EXPECT_LT(looks_until_unwilling, 20);
}

TEST(SpinnerTest, SuccessWipesTheFailuresOut) {
  Spinner spinner(TwoProcessors(kNanosPerSecond));
  for (int i = 0; i < 100; ++i) {
    int looks = 0;
    ASSERT_TRUE(spinner.Spin([&] { return ++looks > 3; }));
  }
  EXPECT_TRUE(spinner.willing());
}

}  // namespace
}  // namespace mlos::channel
