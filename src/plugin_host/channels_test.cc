// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/channels.h"

#include <gtest/gtest.h>

#include <set>

namespace mlos::plugin_host {
namespace {

std::shared_ptr<AttachedChannel> Make(uint32_t number) {
  auto channel = std::make_shared<AttachedChannel>();
  channel->number = number;
  if (number >= kFirstApplication) channel->terms.emplace();
  return channel;
}

TEST(ChannelTableTest, SlotsOfAllFitAndNoneMeet) {
  ChannelTable table;
  std::set<uint32_t> first;
  for (uint32_t lane = 0; lane < kMaxLanes; ++lane) ASSERT_TRUE(table.Add(Make(lane)).ok());
  for (uint32_t i = 0; i < kMaxApplications; ++i) {
    ASSERT_TRUE(table.Add(Make(1000 + 3 * i)).ok());
  }
  uint32_t end = 0;  // the list is in ascending order of slots
  for (const auto& c : *table.list()) {
    EXPECT_EQ(c->first_slot, end);
    end += c->terms ? kBlockSlots : kLaneSlots;
  }
  EXPECT_LE(end, 65535u);
  EXPECT_EQ(table.Add(Make(16)).code(), StatusCode::kResourceExhausted);
  // One goes, one comes, and gets what the other had.
  const uint32_t slot = table.Find(1300)->first_slot;
  ASSERT_TRUE(table.Detach(1300).ok());
  EXPECT_EQ(table.Add(Make(16)).code(), StatusCode::kResourceExhausted);
  ASSERT_NE(table.TakeFinished(), nullptr);
  ASSERT_TRUE(table.Add(Make(16)).ok());
  EXPECT_EQ(table.Find(16)->first_slot, slot);
}

TEST(ChannelTableTest, WhatIsNeededStays) {
  ChannelTable table;
  ASSERT_TRUE(table.Add(Make(20)).ok());
  std::shared_ptr<const ChannelList> watched = table.list();
  EXPECT_FALSE(table.Detach(21).ok());
  ASSERT_TRUE(table.Detach(20).ok());
  EXPECT_TRUE(table.any_detached());
  EXPECT_TRUE(table.list()->empty());
  EXPECT_EQ(table.TakeFinished(), nullptr);  // the older list has it
  AttachedChannel* const channel = table.Find(20);
  ASSERT_NE(channel, nullptr);
  channel->owed = 1;
  watched.reset();
  EXPECT_EQ(table.TakeFinished(), nullptr);  // an answer is owed
  EXPECT_EQ(table.Add(Make(20)).code(), StatusCode::kAlreadyExists);
  channel->owed = 0;
  EXPECT_EQ(table.TakeFinished().get(), channel);
  EXPECT_FALSE(table.any_detached());
  EXPECT_EQ(table.Find(20), nullptr);
  EXPECT_TRUE(table.Add(Make(20)).ok());
}

}  // namespace
}  // namespace mlos::plugin_host
