// SPDX-License-Identifier: Apache-2.0
#include "channel/arena.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mlos::channel {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(SegmentClassTest, RoundsUpToClassesAndThenToTwoMebibytes) {
  EXPECT_EQ(SegmentClass(0), kMiB);
  EXPECT_EQ(SegmentClass(kMiB), kMiB);
  EXPECT_EQ(SegmentClass(kMiB + 1), 4 * kMiB);
  EXPECT_EQ(SegmentClass(17 * kMiB), 64 * kMiB);
  EXPECT_EQ(SegmentClass(256 * kMiB), 256 * kMiB);
  EXPECT_EQ(SegmentClass(256 * kMiB + 1), 258 * kMiB);
  EXPECT_LE(SegmentClass(UINT64_MAX), UINT64_MAX);
  EXPECT_GE(SegmentClass(UINT64_MAX), UINT64_MAX - 2 * kMiB);
}

TEST(ArenaTest, EmptyArenaHasNothing) {
  Arena arena;
  EXPECT_FALSE(arena.Allocate(1));
  EXPECT_EQ(arena.free_bytes(), 0u);
}

TEST(ArenaTest, BlocksAreAlignedLargeEnoughAndTrimmed) {
  Arena arena;
  arena.AddSegment(7, kMiB);
  auto block = arena.Allocate(602'112);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->segment, 7u);
  EXPECT_EQ(block->offset % 64, 0u);
  EXPECT_GE(block->length, 602'112u);
  EXPECT_LE(block->length, 602'112u * 5 / 4);
  // What was trimmed is there for others.
  EXPECT_TRUE(arena.Allocate(256 << 10));
}

TEST(ArenaTest, WholeSegmentCanBeTakenAgainAfterFragmentsWereFreed) {
  Arena arena;
  arena.AddSegment(1, kMiB);
  std::vector<BlockRef> blocks;
  while (auto block = arena.Allocate(700)) blocks.push_back(*block);
  EXPECT_EQ(blocks.size(), kMiB / 1024);
  EXPECT_FALSE(arena.Allocate(1));
  for (const BlockRef& block : blocks) arena.Free(block);
  EXPECT_EQ(arena.free_bytes(), kMiB);
  EXPECT_TRUE(arena.Allocate(kMiB));
}

TEST(ArenaTest, HugeSegmentsAreHandedOutWhole) {
  Arena arena;
  arena.AddSegment(1, kMiB);
  arena.AddSegment(2, 300 * kMiB);
  EXPECT_FALSE(arena.Allocate(301 * kMiB));
  auto block = arena.Allocate(299 * kMiB);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->segment, 2u);
  EXPECT_EQ(block->offset, 0u);
  EXPECT_EQ(block->length, 300 * kMiB);
  EXPECT_FALSE(arena.Allocate(299 * kMiB));
  arena.Free(*block);
  EXPECT_TRUE(arena.Allocate(257 * kMiB));
}

TEST(ArenaTest, SizesThatAreNoPowerOfTwoAreUsedWhole) {
  Arena arena;
  arena.AddSegment(1, 3 * kMiB + 4096);
  EXPECT_EQ(arena.free_bytes(), 3 * kMiB + 4096);
  EXPECT_TRUE(arena.Allocate(2 * kMiB));
  EXPECT_TRUE(arena.Allocate(kMiB));
  EXPECT_TRUE(arena.Allocate(4096));
  EXPECT_FALSE(arena.Allocate(1));
}

// Against a plain list of what is used: no two blocks overlap, none leaves its
// segment, what is free adds up, and all merges back in the end.
TEST(ArenaTest, RandomUseNeverOverlaps) {
  std::mt19937_64 random(20240611);
  Arena arena;
  const std::map<uint32_t, uint64_t> segments = {{1, kMiB}, {2, 4 * kMiB}, {9, 3 * kMiB - 8192}};
  uint64_t total = 0;
  for (const auto& [id, bytes] : segments) {
    arena.AddSegment(id, bytes);
    total += bytes;
  }
  std::map<std::pair<uint32_t, uint64_t>, BlockRef> used;
  uint64_t used_bytes = 0;
  for (int step = 0; step < 200'000; ++step) {
    if (random() % 2 == 0) {
      const uint64_t bytes = random() % (uint64_t{1} << (random() % 21));
      auto block = arena.Allocate(bytes);
      if (!block) continue;
      ASSERT_GE(block->length, bytes);
      ASSERT_LE(block->offset + block->length, segments.at(block->segment));
      auto [it, fresh] = used.emplace(std::pair{block->segment, block->offset}, *block);
      ASSERT_TRUE(fresh);
      if (auto after = std::next(it); after != used.end() && after->first.first == block->segment) {
        ASSERT_LE(block->offset + block->length, after->second.offset);
      }
      if (it != used.begin()) {
        const BlockRef& before = std::prev(it)->second;
        if (before.segment == block->segment) {
          ASSERT_LE(before.offset + before.length, block->offset);
        }
      }
      used_bytes += block->length;
    } else if (!used.empty()) {
      auto it = used.lower_bound({random() % 10, random() % (4 * kMiB)});
      if (it == used.end()) it = used.begin();
      used_bytes -= it->second.length;
      arena.Free(it->second);
      used.erase(it);
    }
    ASSERT_EQ(arena.free_bytes(), total - used_bytes);
    ASSERT_EQ(arena.total_bytes(), total);
  }
  for (const auto& [key, block] : used) arena.Free(block);
  EXPECT_EQ(arena.free_bytes(), total);
  EXPECT_TRUE(arena.Allocate(4 * kMiB));
}

}  // namespace
}  // namespace mlos::channel
