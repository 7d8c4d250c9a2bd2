// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/gather.h"

#include <gtest/gtest.h>

#include <vector>

namespace mlos::lifecycle {
namespace {

TEST(GatherTest, WhatIsToldEarlyIsHeldUntilTheLastHasEnded) {
  std::vector<Status> told;
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = held;
  auto first = Gather(2, Tell::kFailureAtOnce,
                      [&told, held = std::move(held)](const Status& s) { told.push_back(s); });
  auto second = first;
  first(Unavailable("one"));
  first = nullptr;
  ASSERT_EQ(1u, told.size());
  EXPECT_EQ(StatusCode::kUnavailable, told[0].code());
  EXPECT_FALSE(alive.expired());
  second(OkStatus());
  second = nullptr;
  EXPECT_EQ(1u, told.size());
  EXPECT_TRUE(alive.expired());
}

TEST(GatherTest, TheFirstFailureIsToldAtTheEnd) {
  std::vector<Status> told;
  const auto each = Gather(3, Tell::kAtTheEnd, [&told](const Status& s) { told.push_back(s); });
  each(OkStatus());
  each(Unavailable("one"));
  EXPECT_TRUE(told.empty());
  each(NotFound("two"));
  ASSERT_EQ(1u, told.size());
  EXPECT_EQ(StatusCode::kUnavailable, told[0].code());
}

TEST(GatherTest, SuccessIsToldWhenAllHaveIt) {
  for (const Tell when : {Tell::kAtTheEnd, Tell::kFailureAtOnce}) {
    std::vector<Status> told;
    const auto each = Gather(2, when, [&told](const Status& s) { told.push_back(s); });
    each(OkStatus());
    EXPECT_TRUE(told.empty());
    each(OkStatus());
    ASSERT_EQ(1u, told.size());
    EXPECT_TRUE(told[0].ok());
  }
}

}  // namespace
}  // namespace mlos::lifecycle
