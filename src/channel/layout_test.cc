// SPDX-License-Identifier: Apache-2.0
//
// The bytes of the control segment as docs/channel.md gives them.  A change
// here is a new layout version.
#include "channel/layout.h"

#include <gtest/gtest.h>

#include <cstddef>

namespace mlos::channel {
namespace {

TEST(LayoutTest, Constants) {
  EXPECT_EQ(kLayoutVersion, 1u);
  EXPECT_EQ(kChannelMagic, 0x314e4843534f4c4du);
  EXPECT_EQ(kMaxEntries, 4096u);
  EXPECT_EQ(kHintWords, 64u);
  EXPECT_EQ(kMaxEpoch, 0x1fffffffu);
  EXPECT_EQ(kReplayNever, 1u);
  EXPECT_EQ(static_cast<uint32_t>(EntryState::kFree), 0u);
  EXPECT_EQ(static_cast<uint32_t>(EntryState::kSubmitted), 1u);
  EXPECT_EQ(static_cast<uint32_t>(EntryState::kClaimed), 2u);
  EXPECT_EQ(static_cast<uint32_t>(EntryState::kDone), 3u);
  EXPECT_EQ(static_cast<uint32_t>(Sleep::kAwake), 0u);
  EXPECT_EQ(static_cast<uint32_t>(Sleep::kEventFd), 1u);
  EXPECT_EQ(static_cast<uint32_t>(Sleep::kFutex), 2u);
}

TEST(LayoutTest, ControlHeader) {
  EXPECT_EQ(sizeof(ControlHeader), 4096u);
  EXPECT_EQ(offsetof(ControlHeader, magic), 0u);
  EXPECT_EQ(offsetof(ControlHeader, layout_version), 8u);
  EXPECT_EQ(offsetof(ControlHeader, entries), 12u);
  EXPECT_EQ(offsetof(ControlHeader, epoch), 16u);
  EXPECT_EQ(offsetof(ControlHeader, consumer), 64u);
  EXPECT_EQ(offsetof(ControlHeader, producer), 128u);
  EXPECT_EQ(offsetof(ControlHeader, submitted), 192u);
  EXPECT_EQ(offsetof(ControlHeader, completed), 704u);
  EXPECT_EQ(sizeof(Doorbell), 64u);
  EXPECT_EQ(offsetof(Doorbell, sleep), 0u);
  EXPECT_EQ(ControlBytes(1024), 4096u + 1024 * 128);
}

TEST(LayoutTest, Entry) {
  EXPECT_EQ(sizeof(Entry), 128u);
  EXPECT_EQ(alignof(Entry), 128u);
  EXPECT_EQ(offsetof(Entry, word), 0u);
  EXPECT_EQ(offsetof(Entry, model), 8u);
  EXPECT_EQ(offsetof(Entry, principal), 12u);
  EXPECT_EQ(offsetof(Entry, deadline_ns), 16u);
  EXPECT_EQ(offsetof(Entry, flags), 24u);
  EXPECT_EQ(offsetof(Entry, request_segment), 28u);
  EXPECT_EQ(offsetof(Entry, request_offset), 32u);
  EXPECT_EQ(offsetof(Entry, request_length), 40u);
  EXPECT_EQ(offsetof(Entry, cancel), 48u);
  EXPECT_EQ(offsetof(Entry, attempts), 52u);
  EXPECT_EQ(offsetof(Entry, response_segment), 64u);
  EXPECT_EQ(offsetof(Entry, response_offset), 72u);
  EXPECT_EQ(offsetof(Entry, response_length), 80u);
  EXPECT_EQ(offsetof(Entry, claimed_ns), 88u);
  EXPECT_EQ(offsetof(Entry, started_ns), 96u);
  EXPECT_EQ(offsetof(Entry, finished_ns), 104u);
}

TEST(LayoutTest, BlockRef) {
  EXPECT_EQ(sizeof(BlockRef), 24u);
  EXPECT_EQ(offsetof(BlockRef, segment), 0u);
  EXPECT_EQ(offsetof(BlockRef, offset), 8u);
  EXPECT_EQ(offsetof(BlockRef, length), 16u);
}

TEST(LayoutTest, EntryWord) {
  const EntryWord word{EntryState::kClaimed, 0x1abcdef0, 0x12345678};
  EXPECT_EQ(word.Pack(), 0x12345678'd5e6f782u);
  const EntryWord back = EntryWord::Unpack(word.Pack());
  EXPECT_EQ(back.state, EntryState::kClaimed);
  EXPECT_EQ(back.epoch, 0x1abcdef0u);
  EXPECT_EQ(back.sequence, 0x12345678u);
  EXPECT_EQ(EntryWord::Unpack(UINT64_MAX).epoch, kMaxEpoch);
}

}  // namespace
}  // namespace mlos::channel
