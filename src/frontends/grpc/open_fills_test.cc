// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/open_fills.h"

#include <gtest/gtest.h>

namespace mlos::grpc {
namespace {

uint32_t TakeAll(OpenFills* fills, const void* connection, uint64_t bytes) {
  uint32_t taken = 0;
  while (fills->Take(connection, bytes)) ++taken;
  return taken;
}

TEST(OpenFills, OneConnectionHasHalfOfWhatOthersLeave) {
  OpenFills fills;
  const int connections[3] = {};
  EXPECT_EQ(256u, TakeAll(&fills, &connections[0], 1));
  EXPECT_EQ(128u, TakeAll(&fills, &connections[1], 1));
  EXPECT_EQ(64u, TakeAll(&fills, &connections[2], 1));
  EXPECT_EQ(448u, fills.count());
  EXPECT_EQ(448u, fills.bytes());
  for (int i = 0; i < 256; ++i) fills.Give(&connections[0], 1);
  EXPECT_EQ(192u, fills.count());
  EXPECT_EQ(96u, TakeAll(&fills, &connections[1], 1));
}

TEST(OpenFills, OfTheMemoryToo) {
  constexpr uint64_t kMessage = 128 << 20;
  OpenFills fills;
  const int connections[3] = {};
  EXPECT_EQ(2u, TakeAll(&fills, &connections[0], kMessage));
  EXPECT_EQ(1u, TakeAll(&fills, &connections[1], kMessage));
  EXPECT_EQ(0u, TakeAll(&fills, &connections[2], kMessage));
  EXPECT_TRUE(fills.Take(&connections[2], 1 << 20));
  EXPECT_FALSE(fills.Take(&connections[2], UINT64_MAX));
  fills.Give(&connections[0], kMessage);
  EXPECT_TRUE(fills.Take(&connections[2], kMessage / 2));
}

}  // namespace
}  // namespace mlos::grpc
