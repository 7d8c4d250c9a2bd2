// SPDX-License-Identifier: Apache-2.0
#include "h2/frame_tracker.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mlos::h2 {
namespace {

std::string Frame(uint8_t type, uint8_t flags, size_t bytes) {
  std::string out(9 + bytes, '\0');
  out[1] = static_cast<char>(bytes >> 8);
  out[2] = static_cast<char>(bytes);
  out[3] = static_cast<char>(type);
  out[4] = static_cast<char>(flags);
  return out;
}

std::span<const std::byte> Bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// However it is cut: at each byte whether a block is open, as one digit.
std::string Open(const std::string& frames) {
  std::string out;
  FrameTracker each;
  each.Take(Bytes(NGHTTP2_CLIENT_MAGIC));
  for (const char& c : frames) {
    each.Take(Bytes({&c, 1}));
    out += each.in_block() ? '1' : '0';
  }
  for (size_t cut = 0; cut <= frames.size(); ++cut) {
    FrameTracker two;
    two.Take(Bytes(NGHTTP2_CLIENT_MAGIC + frames.substr(0, cut)));
    two.Take(Bytes(frames.substr(cut)));
    EXPECT_EQ(each.in_block(), two.in_block()) << cut;
    EXPECT_EQ(each.blocks(), two.blocks()) << cut;
  }
  return out;
}

TEST(FrameTrackerTest, KnowsWhetherABlockIsOpen) {
  EXPECT_EQ(
      "00000000"
      "110",
      Open(Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2)));
  EXPECT_EQ("000000000", Open(Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 0)));
  EXPECT_EQ(
      "00000000"
      "111"
      "11111111"
      "10",
      Open(Frame(NGHTTP2_HEADERS, 0, 2) +
           Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1)));
  EXPECT_EQ("00000000000", Open(Frame(NGHTTP2_DATA, 0, 2)));
  EXPECT_EQ(std::string(9 + 300, '0'), Open(Frame(77, 0xff, 300)));
}

TEST(FrameTrackerTest, CountsDataThatIsNone) {
  FrameTracker tracker;
  tracker.Take(Bytes(NGHTTP2_CLIENT_MAGIC));
  tracker.Take(Bytes(Frame(NGHTTP2_DATA, 0, 0) + Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 256) +
                     Frame(NGHTTP2_DATA, 0, 1) + Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 257) +
                     Frame(NGHTTP2_PING, 0, 0)));
  EXPECT_EQ(2u, tracker.hollow());
  // When it is all there.
  const std::string padded = Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 4);
  tracker.Take(Bytes(padded.substr(0, 12)));
  EXPECT_EQ(2u, tracker.hollow());
  tracker.Take(Bytes(padded.substr(12)));
  EXPECT_EQ(3u, tracker.hollow());
}

TEST(FrameTrackerTest, CountsThem) {
  FrameTracker tracker;
  EXPECT_FALSE(tracker.in_block());
  tracker.Take(Bytes(std::string(NGHTTP2_CLIENT_MAGIC) + Frame(NGHTTP2_SETTINGS, 0, 6)));
  EXPECT_EQ(0u, tracker.blocks());
  tracker.Take(
      Bytes(Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3) + Frame(NGHTTP2_HEADERS, 0, 3)));
  EXPECT_EQ(2u, tracker.blocks());
  EXPECT_TRUE(tracker.in_block());
}

}  // namespace
}  // namespace mlos::h2
