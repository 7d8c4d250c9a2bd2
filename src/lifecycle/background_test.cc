// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/background.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

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

}  // namespace
}  // namespace mlos::lifecycle
