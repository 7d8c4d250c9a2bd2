// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/background.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

namespace mlos::lifecycle {
namespace {

TEST(BackgroundTest, WorkThatThrowsFailsAndTheNextIsDone) {
  EventLoop control;
  Background background(control);
  Status first;
  Status second;
  bool third = false;
  const auto next = [](const std::atomic<bool>&) -> Background::Result { return [] {}; };
  background.Do(Urgency::kWhenIdle, next);
  background.Do(
      Urgency::kWhenIdle,
      [](const std::atomic<bool>&) -> Background::Result { throw std::bad_alloc(); },
      [&](const Status& status) { first = status; });
  background.Do(
      Urgency::kWhenIdle,
      [](const std::atomic<bool>&) -> Background::Result { throw std::runtime_error("odd"); },
      [&](const Status& status) { second = status; });
  background.Do(Urgency::kWhenIdle, [&](const std::atomic<bool>&) -> Background::Result {
    return [&] {
      third = true;
      control.Stop();
    };
  });
  control.Run();
  EXPECT_EQ(StatusCode::kResourceExhausted, first.code());
  EXPECT_EQ("odd", Message(second));
  EXPECT_TRUE(third);
}

// A callback that an operation's end waits for must not end it from another thread.
TEST(BackgroundTest, WhatAJobHoldsIsLetGoOfOnTheLoop) {
  EventLoop control;
  Background background(control);
  std::thread::id released;
  std::shared_ptr<void> held(nullptr, [&](void*) {
    released = std::this_thread::get_id();
    control.Stop();
  });
  background.Do(
      Urgency::kNow, [held](const std::atomic<bool>&) -> Background::Result { return [] {}; },
      [held](const Status&) {});
  held.reset();
  control.Run();
  EXPECT_EQ(std::this_thread::get_id(), released);
}

TEST(BackgroundTest, WhatIsWaitedForIsDoneInItsOrderAndBounded) {
  EventLoop control;
  Background background(control);
  std::atomic<bool> go{false};
  background.Do(Urgency::kNow, [&](const std::atomic<bool>&) -> Background::Result {
    go.wait(false);
    return [] {};
  });
  std::vector<size_t> done;
  std::vector<Status> refused;
  // The first may have begun, or wait like the others.
  for (size_t i = 0; i < kMostJobs + 1; ++i) {
    background.Do(
        Urgency::kNow,
        [&, i](const std::atomic<bool>&) -> Background::Result {
          return [&, i] { done.push_back(i); };
        },
        [&](const Status& status) { refused.push_back(status); });
  }
  background.Do(Urgency::kWhenIdle, [&](const std::atomic<bool>&) -> Background::Result {
    return [&] { control.Stop(); };
  });
  EXPECT_TRUE(refused.empty());  // not from inside the call
  go = true;
  go.notify_all();
  control.Run();
  ASSERT_THAT(refused.size(), testing::AnyOf(1u, 2u));
  EXPECT_EQ(StatusCode::kUnavailable, refused.front().code());
  EXPECT_EQ(kMostJobs + 1, done.size() + refused.size());
  for (size_t i = 0; i < done.size(); ++i) EXPECT_EQ(i, done[i]);
}

TEST(BackgroundTest, WhatIsLetGoOfGoesOnTheThreadInItsTurn) {
  EventLoop control;
  std::thread::id where;
  bool early = true;
  std::shared_ptr<void> held(nullptr, [&](void*) { where = std::this_thread::get_id(); });
  std::shared_ptr<void> last(nullptr, [](void*) {});
  const std::weak_ptr<void> alive = last;
  {
    Background background(control);
    background.LetGo(std::move(held));
    background.Do(Urgency::kNow, [&](const std::atomic<bool>&) -> Background::Result {
      early = where == std::thread::id();
      return [&] { control.Stop(); };
    });
    control.Run();
    background.LetGo(std::move(last));
  }
  EXPECT_FALSE(early);
  EXPECT_NE(std::this_thread::get_id(), where);
  EXPECT_TRUE(alive.expired());
}

}  // namespace
}  // namespace mlos::lifecycle
