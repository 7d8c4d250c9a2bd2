// SPDX-License-Identifier: Apache-2.0
#include "hostlink/lane_messages.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

namespace mlos::hostlink {
namespace {

OwnedFd AnyFd() { return OwnedFd(eventfd(0, EFD_CLOEXEC)); }

TEST(LaneMessagesTest, AnEndingComesThrough) {
  const auto read = DecodeBeginEpoch(
      EncodeBeginEpoch({.how = channel::Death::kHung, .late_before_ns = uint64_t{1} << 60}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->how, channel::Death::kHung);
  EXPECT_EQ(read->late_before_ns, uint64_t{1} << 60);
}

TEST(LaneMessagesTest, ADeathThatIsNoneIsRefused) {
  Frame frame = EncodeBeginEpoch({});
  frame.payload = R"({"how":3,"late_before":0})";
  EXPECT_EQ(DecodeBeginEpoch(frame).status().code(), StatusCode::kInvalidArgument);
}

TEST(LaneMessagesTest, AGrantComesThroughWithItsDescriptors) {
  channel::ConsumerGrant grant;
  grant.entries = 64;
  grant.epoch = 7;
  grant.control = AnyFd();
  grant.consumer_event = AnyFd();
  grant.producer_event = AnyFd();
  grant.requests.push_back({1, 4096, AnyFd()});
  grant.responses.push_back({2, 8192, AnyFd()});
  const int control = grant.control.get();
  const int response = grant.responses[0].fd.get();
  const auto read = DecodeGrant(EncodeGrant(std::move(grant)));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->entries, 64u);
  EXPECT_EQ(read->epoch, 7u);
  EXPECT_EQ(read->control.get(), control);
  ASSERT_EQ(read->responses.size(), 1u);
  EXPECT_EQ(read->responses[0].bytes, 8192u);
  EXPECT_EQ(read->responses[0].fd.get(), response);
}

TEST(LaneMessagesTest, AGrantWithoutAllItsDescriptorsIsRefused) {
  channel::ConsumerGrant grant;
  grant.entries = 64;
  grant.epoch = 1;
  grant.control = AnyFd();
  grant.consumer_event = AnyFd();
  grant.producer_event = AnyFd();
  grant.requests.push_back({1, 4096, AnyFd()});
  Frame frame = EncodeGrant(std::move(grant));
  frame.fds.pop_back();
  EXPECT_EQ(DecodeGrant(std::move(frame)).status().code(), StatusCode::kInvalidArgument);
}

TEST(LaneMessagesTest, ASegmentComesThrough) {
  const auto read = DecodeSegment(EncodeSegment({5, 1 << 20, AnyFd()}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->id, 5u);
  EXPECT_EQ(read->bytes, 1u << 20);
  Frame bare = EncodeSegment({5, 1 << 20, AnyFd()});
  bare.fds.clear();
  EXPECT_FALSE(DecodeSegment(std::move(bare)).ok());
}

TEST(LaneMessagesTest, NumbersComeThrough) {
  const auto bytes = DecodeMoreMemory(EncodeMoreMemory(12345));
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, 12345u);
  const auto id = DecodeHasSegment(EncodeHasSegment(9));
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(*id, 9u);
}

TEST(LaneMessagesTest, TheEndSaysWhyAndWhetherToOpenAgain) {
  const auto read =
      DecodeEnded(EncodeEnded({.why = Unavailable("it is being unloaded"), .reopen = true}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->why, Unavailable("it is being unloaded"));
  EXPECT_TRUE(read->reopen);
  Frame frame = EncodeEnded({.why = Unavailable("")});
  frame.payload = R"({"code":0,"text":"fine","reopen":false})";
  EXPECT_FALSE(DecodeEnded(frame).ok());
}

TEST(LaneMessagesTest, ARefusalIsAStatus) {
  EXPECT_EQ(DecodeRefused(EncodeRefused(ResourceExhausted("full"))), ResourceExhausted("full"));
  Frame frame = EncodeRefused(Unavailable(""));
  frame.payload = R"({"code":17,"text":""})";
  EXPECT_EQ(DecodeRefused(frame).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mlos::hostlink
