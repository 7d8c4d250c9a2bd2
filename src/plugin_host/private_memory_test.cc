// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/private_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

namespace mlos::plugin_host {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(PrivateMemoryTest, BlocksAreAlignedAndApart) {
  PrivateMemory memory;
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    std::map<std::byte*, uint64_t> blocks;
    for (int i = 0; i < 50; ++i) {
      const uint64_t bytes = random() % (uint64_t{1} << (random() % 20));
      std::byte* const at = memory.Allocate(bytes);
      ASSERT_NE(at, nullptr);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(at) % PrivateMemory::kAlignment, 0u);
      ASSERT_TRUE(blocks.emplace(at, bytes).second);
      if (bytes > 0) std::memset(at, i, bytes);
    }
    for (auto it = blocks.begin(); std::next(it) != blocks.end(); ++it) {
      ASSERT_LE(it->first + it->second, std::next(it)->first);
    }
    memory.Clear();
  }
}

TEST(PrivateMemoryTest, WarmMemoryIsUsedAgain) {
  PrivateMemory memory;
  const auto request = [&] {
    std::vector<std::byte*> at = {memory.Allocate(700'000), memory.Allocate(4'000'000),
                                  memory.Allocate(8)};
    memory.Clear();
    return at;
  };
  const std::vector<std::byte*> first = request();
  const uint64_t held = memory.held();
  EXPECT_EQ(request(), first);
  EXPECT_EQ(memory.held(), held);
}

TEST(PrivateMemoryTest, LargeMemoryGoesBackAndTheWarmStays) {
  PrivateMemory memory;
  std::byte* const small = memory.Allocate(100);
  ASSERT_NE(memory.Allocate(PrivateMemory::kKept + 1), nullptr);
  EXPECT_GT(memory.held(), PrivateMemory::kKept);
  memory.Clear();
  EXPECT_EQ(memory.held(), kMiB);
  EXPECT_EQ(memory.Allocate(100), small);
  for (int i = 0; i < 40; ++i) ASSERT_NE(memory.Allocate(kMiB), nullptr);
  memory.Clear();
  EXPECT_EQ(memory.held(), PrivateMemory::kKept);
}

TEST(PrivateMemoryTest, OneRequestHasSoMuchAndNoMore) {
  PrivateMemory memory;
  EXPECT_EQ(memory.Allocate(UINT64_MAX), nullptr);
  EXPECT_EQ(memory.Allocate(PrivateMemory::kMost + 1), nullptr);
  ASSERT_NE(memory.Allocate(PrivateMemory::kMost - 64), nullptr);  // untouched, it costs nothing
  EXPECT_NE(memory.Allocate(64), nullptr);
  EXPECT_EQ(memory.Allocate(1), nullptr);
  memory.Clear();
  EXPECT_NE(memory.Allocate(1), nullptr);
}

}  // namespace
}  // namespace mlos::plugin_host
