// SPDX-License-Identifier: Apache-2.0
//
// Going to sleep and waking, many times over, in each of the two ways: a lost
// wake-up shows as a deadline that passes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "base/clock.h"
#include "base/sanitized.h"
#include "channel/doorbell.h"
#include "channel/test_util.h"

namespace mlos::channel {
namespace {

constexpr uint64_t kPatience = 60 * kNanosPerSecond;

void PinTo(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  sched_setaffinity(0, sizeof(one), &one);  // if it fails, the threads just run elsewhere
}

// One sleep of either end; false when the deadline passed without a wake-up.
template <typename End>
bool SleepOnce(End& end, Sleep how) {
  if (!end.PrepareSleep(how)) return true;
  bool woken = true;
  const uint64_t start = NowNanos();
  if (how == Sleep::kFutex) {
    end.FutexSleep(start + kPatience);
    woken = NowNanos() - start < kPatience;
  } else {
    pollfd wait = {end.event_fd(), POLLIN, 0};
    woken = poll(&wait, 1, static_cast<int>(kPatience / kNanosPerMilli)) > 0;
  }
  end.FinishSleep();
  return woken;
}

struct Course {
  int rounds;
  Sleep producer;
  Sleep consumer;
  bool same_processor;
  int jitter;  // at most so many iterations of delay before going to sleep
};

class HandOffTest : public ::testing::TestWithParam<Course> {};

void Dawdle(uint32_t* seed, int most) {
  if (most == 0) return;
  *seed = *seed * 1664525 + 1013904223;
  for (uint32_t i = (*seed >> 8) % static_cast<uint32_t>(most); i > 0; --i) {
    asm volatile("" ::: "memory");
  }
}

TEST_P(HandOffTest, NoWakeUpIsLost) {
  const Course course = GetParam();
  Pair pair;
  std::atomic<bool> failed = false;
  std::thread consuming([&] {
    PinTo(0);
    uint32_t seed = 1;
    for (int served = 0; served < course.rounds && !failed;) {
      Claim claim;
      if (pair.consumer->Next(&claim)) {
        if (!pair.Answer(claim, "y")) failed = true;
        ++served;
        continue;
      }
      Dawdle(&seed, course.jitter);
      if (!SleepOnce(*pair.consumer, course.consumer)) failed = true;
    }
  });
  std::thread producing([&] {
    PinTo(course.same_processor ? 0 : 1);
    uint32_t seed = 2;
    for (int asked = 0; asked < course.rounds && !failed; ++asked) {
      pair.Send("x");
      while (pair.CollectAndRelease() == 0 && !failed) {
        Dawdle(&seed, course.jitter);
        if (!SleepOnce(*pair.producer, course.producer)) failed = true;
      }
    }
  });
  producing.join();
  consuming.join();
  EXPECT_FALSE(failed);
  EXPECT_EQ(pair.producer->in_flight(), 0u);
}

constexpr int kScale = kSanitized ? 1 : 10;

// Each round is two hand-overs; together over two millions.
INSTANTIATE_TEST_SUITE_P(
    All, HandOffTest,
    ::testing::Values(Course{40'000 * kScale, Sleep::kFutex, Sleep::kFutex, true, 0},
                      Course{40'000 * kScale, Sleep::kEventFd, Sleep::kEventFd, true, 0},
                      Course{20'000 * kScale, Sleep::kFutex, Sleep::kEventFd, true, 0},
                      Course{5'000 * kScale, Sleep::kFutex, Sleep::kFutex, false, 400},
                      Course{2'500 * kScale, Sleep::kEventFd, Sleep::kEventFd, false, 800},
                      Course{2'500 * kScale, Sleep::kEventFd, Sleep::kFutex, false, 1600}));

TEST(SleepTest, PrepareRefusesWhenThereIsSomethingToDo) {
  Pair pair;
  pair.Send("x");
  EXPECT_FALSE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_TRUE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  pair.consumer->FinishSleep();
  EXPECT_TRUE(pair.producer->PrepareSleep(Sleep::kEventFd));
  pair.producer->FinishSleep();
  ASSERT_TRUE(pair.Answer(claim, "y"));
  EXPECT_FALSE(pair.producer->PrepareSleep(Sleep::kEventFd));
  EXPECT_FALSE(pair.producer->PrepareSleep(Sleep::kFutex));
  EXPECT_EQ(pair.CollectAndRelease(), 1u);
  EXPECT_TRUE(pair.producer->PrepareSleep(Sleep::kFutex));
  pair.producer->FinishSleep();
}

bool Readable(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return poll(&wait, 1, 0) > 0;
}

TEST(SleepTest, OnlySleepersAreRung) {
  Pair pair;
  pair.Send("x");
  EXPECT_FALSE(Readable(pair.consumer->event_fd()));
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  ASSERT_TRUE(pair.Answer(claim, "y"));
  EXPECT_FALSE(Readable(pair.producer->event_fd()));
  EXPECT_EQ(pair.CollectAndRelease(), 1u);

  ASSERT_TRUE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  ASSERT_TRUE(pair.producer->PrepareSleep(Sleep::kEventFd));
  pair.Send("x");
  pair.Send("x");
  EXPECT_TRUE(Readable(pair.consumer->event_fd()));
  pair.consumer->FinishSleep();
  EXPECT_FALSE(Readable(pair.consumer->event_fd()));
  ASSERT_TRUE(pair.consumer->Next(&claim));
  ASSERT_TRUE(pair.Answer(claim, "y"));
  EXPECT_TRUE(Readable(pair.producer->event_fd()));
  pair.producer->FinishSleep();
  EXPECT_FALSE(Readable(pair.producer->event_fd()));
}

TEST(SleepTest, OneRingCanServeForSeveralAnswers) {
  Pair pair;
  Claim claims[2];
  for (Claim& claim : claims) {
    pair.Send("x");
    ASSERT_TRUE(pair.consumer->Next(&claim));
  }
  ASSERT_TRUE(pair.producer->PrepareSleep(Sleep::kEventFd));
  for (const Claim& claim : claims) {
    ASSERT_TRUE(pair.consumer->Complete(claim, {}, {}, false));
    EXPECT_FALSE(Readable(pair.producer->event_fd()));
  }
  pair.consumer->RingProducer();
  EXPECT_TRUE(Readable(pair.producer->event_fd()));
  pair.producer->OnEventReadable();
  EXPECT_FALSE(Readable(pair.producer->event_fd()));
  EXPECT_EQ(pair.CollectAndRelease(), 2u);
  pair.consumer->RingProducer();  // awake: nothing to ring
  EXPECT_FALSE(Readable(pair.producer->event_fd()));
}

TEST(SleepTest, AnEventThatCameTooLateIsTakenBackTheNextTime) {
  Pair pair;
  ASSERT_TRUE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  pair.Send("x");
  // The sleeper sees the work and not the event: as if it had looked first.
  EXPECT_FALSE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_TRUE(Readable(pair.consumer->event_fd()));
  ASSERT_TRUE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  pair.Send("y");
  pair.consumer->FinishSleep();
  EXPECT_FALSE(Readable(pair.consumer->event_fd()));
}

TEST(SleepTest, FutexSleepEndsAtItsDeadline) {
  Pair pair;
  ASSERT_TRUE(pair.consumer->PrepareSleep(Sleep::kFutex));
  const uint64_t start = NowNanos();
  pair.consumer->FutexSleep(start + 5 * kNanosPerMilli);
  EXPECT_GE(NowNanos() - start, 5 * kNanosPerMilli);
  pair.consumer->FutexSleep(0);
  pair.consumer->FinishSleep();
}

// What a hostile peer can do to the descriptors that both hold.
TEST(SleepTest, HostilePeersCannotBlockTheProducer) {
  Pair pair;
  const int theirs = pair.consumer->event_fd();
  ASSERT_TRUE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  fcntl(theirs, F_SETFL, 0);
  // A queue that nobody reads fills up; ringing goes on regardless.
  for (int i = 0; i < 5000; ++i) {
    const uint32_t entry = pair.Send("x");
    EXPECT_TRUE(pair.producer->Cancel(entry));
    static_cast<void>(pair.consumer->PrepareSleep(Sleep::kEventFd));
    Claim claim;
    while (pair.consumer->Next(&claim)) {
    }
    ASSERT_TRUE(pair.consumer->PrepareSleep(Sleep::kEventFd));
  }
  EXPECT_TRUE(Readable(theirs));
  // An eventfd made blocking and emptied under the producer's hands.
  ASSERT_TRUE(pair.producer->PrepareSleep(Sleep::kEventFd));
  const int mine = pair.producer->event_fd();
  pair.Send("x");
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  ASSERT_TRUE(pair.Answer(claim, "y"));
  uint64_t count = 0;
  ASSERT_EQ(read(mine, &count, sizeof(count)), 8);
  fcntl(mine, F_SETFL, 0);
  pair.producer->FinishSleep();
  EXPECT_EQ(pair.CollectAndRelease(), 1u);
  // The next consumer has descriptors that nobody has spoiled.
  pair.NewConsumer();
  EXPECT_NE(fcntl(mine, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_FALSE(Readable(pair.consumer->event_fd()));
}

}  // namespace
}  // namespace mlos::channel
