// SPDX-License-Identifier: Apache-2.0
#include "rpc/wire.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/clock.h"

namespace mlos::rpc {
namespace {

TEST(WireTest, EncodesAStatusText) {
  std::string out;
  AppendPercentEncoded("50% of 'ö'\n~", &out);
  EXPECT_EQ("50%25 of '%C3%B6'%0A~", out);
  for (const auto& [text, encoded] : {std::pair{" a b ", "%20a b%20"}, {" ", "%20"}, {"", ""}}) {
    out.clear();
    AppendPercentEncoded(text, &out);
    EXPECT_EQ(encoded, out);
  }
}

TEST(WireTest, ReadsTimeouts) {
  EXPECT_EQ(2 * 3600 * kNanosPerSecond, ParseTimeout("2H"));
  EXPECT_EQ(3 * 60 * kNanosPerSecond, ParseTimeout("3M"));
  EXPECT_EQ(4 * kNanosPerSecond, ParseTimeout("4S"));
  EXPECT_EQ(5 * kNanosPerMilli, ParseTimeout("5m"));
  EXPECT_EQ(6 * kNanosPerMicro, ParseTimeout("6u"));
  EXPECT_EQ(99999999u, ParseTimeout("99999999n"));
  EXPECT_EQ(std::numeric_limits<int64_t>::max(), ParseTimeout("99999999H"));
  for (const char* bad : {"", "1", "H", "1h", " 1S", "1 S", "+1S", "100000000S"}) {
    EXPECT_FALSE(ParseTimeout(bad)) << bad;
  }
}

TEST(WireTest, EncodesBinaryBothWays) {
  const std::string all("\x00\xff\x10\x80 ab", 7);
  for (size_t size = 0; size <= all.size(); ++size) {
    std::string back;
    std::string text = EncodeBinary(all.substr(0, size));
    ASSERT_TRUE(DecodeBinary(text, &back)) << size;
    EXPECT_EQ(all.substr(0, size), back);
    text.append((4 - text.size() % 4) % 4, '=');
    ASSERT_TRUE(DecodeBinary(text, &back)) << size;
    EXPECT_EQ(all.substr(0, size), back);
  }
  std::string out;
  EXPECT_TRUE(DecodeBinary("/+8=", &out));
  EXPECT_EQ("\xff\xef", out);
  for (const char* bad : {"a", "ab*d", "abcde"}) EXPECT_FALSE(DecodeBinary(bad, &out)) << bad;
}

TEST(WireTest, KnowsItsContentTypes) {
  for (const char* good : {"application/grpc", "application/grpc+proto",
                           "application/grpc;charset=utf-8", "application/grpc+proto;x=y"}) {
    EXPECT_TRUE(IsGrpc(good)) << good;
  }
  for (const char* bad : {"", "application/json", "application/grpc-web", "application/grpc+json",
                          "application/grp"}) {
    EXPECT_FALSE(IsGrpc(bad)) << bad;
  }
}

TEST(WireTest, FindsNamesInLists) {
  EXPECT_TRUE(ListHas("identity, gzip ,deflate", "gzip"));
  EXPECT_TRUE(ListHas("gzip", "gzip"));
  EXPECT_FALSE(ListHas("gzipped, x", "gzip"));
  EXPECT_FALSE(ListHas("", "gzip"));
}

}  // namespace
}  // namespace mlos::rpc
