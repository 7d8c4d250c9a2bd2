// SPDX-License-Identifier: Apache-2.0
//
// The core's end of a direct channel's link, before an application that is made up.
#include "backend/direct_port.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <optional>

#include "base/clock.h"

namespace mlos::backend {
namespace {

using hostlink::Frame;
using std::chrono::milliseconds;

OwnedFd AnyFd() { return OwnedFd(eventfd(0, EFD_CLOEXEC)); }

channel::ConsumerGrant AnyGrant(uint64_t bytes = 4096) {
  channel::ConsumerGrant grant;
  grant.entries = 64;
  grant.epoch = 1;
  grant.control = AnyFd();
  grant.consumer_event = AnyFd();
  grant.producer_event = AnyFd();
  grant.requests.push_back({1, bytes, AnyFd()});
  grant.responses.push_back({2, 4096, AnyFd()});
  return grant;
}

class DirectPortTest : public testing::Test {
 protected:
  explicit DirectPortTest(milliseconds memory_limit = milliseconds(60'000)) {
    int ends[2];
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    application_ = std::make_unique<hostlink::Link>(OwnedFd(ends[1]));
    port_ = std::make_shared<DirectPort>(
        loop_, OwnedFd(ends[0]), [this] { ++ended_; }, memory_limit);
    port_->Start();
  }

  bool Until(const std::function<bool()>& condition) {
    const uint64_t limit = NowNanos() + 10 * kNanosPerSecond;
    while (!condition()) {
      if (NowNanos() > limit) return false;
      loop_.io().restart();
      loop_.io().poll();
    }
    return true;
  }
  // What the application reads next; nothing: its link has ended.
  std::optional<Frame> Read() {
    std::optional<Frame> frame;
    Until([&] {
      if (frames_.empty() && !gone_) gone_ = !application_->Receive(&frames_).ok();
      if (frames_.empty()) return gone_;
      frame = std::move(frames_.front());
      frames_.erase(frames_.begin());
      return true;
    });
    return frame;
  }
  void Answer(Frame frame, uint64_t id) {
    frame.id = id;
    ASSERT_TRUE(application_->Send(std::move(frame)).ok());
  }
  void BeginEpoch() {
    port_->BeginEpoch({.how = channel::Death::kHung, .late_before_ns = 5},
                      [this](auto grant) { grant_ = std::move(grant); });
  }
  void AskForMemory() {
    port_->AddResponseSegment(1 << 20, [this](auto segment) { segment_ = std::move(segment); });
  }
  // The channel is over, and the application was told why.
  void ExpectEnd(StatusCode code) {
    std::optional<Frame> frame = Read();
    while (frame && frame->type != hostlink::kEnded) frame = Read();
    ASSERT_TRUE(frame);
    const auto end = hostlink::DecodeEnded(*frame);
    ASSERT_TRUE(end.ok());
    EXPECT_EQ(code, end->why.code()) << Message(end->why);
    EXPECT_FALSE(Read()) << "the link ends after it";
    EXPECT_TRUE(Until([this] { return ended_ == 1; }));
    EXPECT_TRUE(port_->ended());
  }

  EventLoop loop_;
  std::unique_ptr<hostlink::Link> application_;
  std::vector<Frame> frames_;
  bool gone_ = false;
  std::shared_ptr<DirectPort> port_;
  int ended_ = 0;
  std::optional<StatusOr<channel::ConsumerGrant>> grant_;
  std::optional<StatusOr<channel::SegmentGrant>> segment_;
};

class ImpatientPortTest : public DirectPortTest {
 protected:
  ImpatientPortTest() : DirectPortTest(milliseconds(20)) {}
};

TEST_F(DirectPortTest, AGrantIsAskedForAndComes) {
  BeginEpoch();
  const auto frame = Read();
  ASSERT_TRUE(frame && frame->type == hostlink::kBeginEpoch);
  EXPECT_EQ(channel::Death::kHung, hostlink::DecodeBeginEpoch(*frame)->how);
  Answer(hostlink::EncodeGrant(AnyGrant()), frame->id);
  ASSERT_TRUE(Until([this] { return grant_.has_value(); }));
  ASSERT_TRUE(grant_->ok());
  EXPECT_EQ(64u, (*grant_)->entries);
  EXPECT_FALSE(port_->ended());
}

TEST_F(DirectPortTest, ARefusalGoesToWhoAskedAndEndsNothing) {
  BeginEpoch();
  Answer(hostlink::EncodeRefused(ResourceExhausted("no memory")), Read()->id);
  ASSERT_TRUE(Until([this] { return grant_.has_value(); }));
  EXPECT_EQ(StatusCode::kResourceExhausted, grant_->status().code());
  EXPECT_FALSE(port_->ended());
}

TEST_F(DirectPortTest, MemoryGoesBothWays) {
  uint32_t made = 0;
  port_->send_request_segment = [&](const channel::SegmentGrant& segment) { made = segment.id; };
  ASSERT_TRUE(application_->Send(hostlink::EncodeSegment({9, 4096, AnyFd()})).ok());
  ASSERT_TRUE(Until([&] { return made == 9; }));
  port_->ActivateRequestSegment(9);
  auto frame = Read();
  ASSERT_TRUE(frame && frame->type == hostlink::kHasSegment);
  EXPECT_EQ(9u, *hostlink::DecodeHasSegment(*frame));

  AskForMemory();
  frame = Read();
  ASSERT_TRUE(frame && frame->type == hostlink::kMoreMemory);
  EXPECT_EQ(1u << 20, *hostlink::DecodeMoreMemory(*frame));
  Answer(hostlink::EncodeSegment({3, 1 << 20, AnyFd()}), frame->id);
  ASSERT_TRUE(Until([this] { return segment_.has_value(); }));
  ASSERT_TRUE(segment_->ok());
  EXPECT_EQ(3u, (*segment_)->id);
}

TEST_F(DirectPortTest, WhoeverAsksIsAnsweredWhenTheApplicationGoes) {
  BeginEpoch();
  AskForMemory();
  application_.reset();
  ASSERT_TRUE(Until([this] { return ended_ == 1; }));
  ASSERT_TRUE(grant_ && segment_);
  EXPECT_EQ(StatusCode::kUnavailable, grant_->status().code());
  EXPECT_EQ(StatusCode::kUnavailable, segment_->status().code());
  // And so is who asks after that.
  grant_.reset();
  BeginEpoch();
  ASSERT_TRUE(grant_);
  EXPECT_EQ(StatusCode::kUnavailable, grant_->status().code());
}

TEST_F(DirectPortTest, TheApplicationIsToldOfTheEnd) {
  port_->End({.why = Unavailable("the model has left"), .reopen = true});
  const auto frame = Read();
  ASSERT_TRUE(frame && frame->type == hostlink::kEnded);
  EXPECT_TRUE(hostlink::DecodeEnded(*frame)->reopen);
  EXPECT_TRUE(Until([this] { return ended_ == 1; }));
  port_->Fail(Unavailable("twice"));
  loop_.io().restart();
  loop_.io().poll();
  EXPECT_EQ(1, ended_) << "it ends once";
}

TEST_F(DirectPortTest, AnAnswerToNothingEndsIt) {
  Answer(hostlink::EncodeGrant(AnyGrant()), 1);
  ExpectEnd(StatusCode::kInvalidArgument);
}

TEST_F(DirectPortTest, AnAnswerOfAnotherKindEndsIt) {
  BeginEpoch();
  Answer(hostlink::EncodeSegment({3, 4096, AnyFd()}), Read()->id);
  ExpectEnd(StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusCode::kInvalidArgument, grant_->status().code());
}

TEST_F(DirectPortTest, AGrantOfTooMuchMemoryEndsIt) {
  BeginEpoch();
  Answer(hostlink::EncodeGrant(AnyGrant(UINT64_MAX / 2)), Read()->id);
  ExpectEnd(StatusCode::kResourceExhausted);
  EXPECT_FALSE(grant_->ok());
}

TEST_F(DirectPortTest, SegmentsWithoutEndEndIt) {
  int made = 0;
  port_->send_request_segment = [&](const channel::SegmentGrant&) { ++made; };
  for (int i = 0; i < 5000 && !port_->ended(); ++i) {
    Frame frame = hostlink::EncodeSegment({9, 4096, AnyFd()});
    if (!application_->Enqueue(std::move(frame)).ok() || !application_->Flush().ok()) break;
    loop_.io().restart();
    loop_.io().poll();
  }
  ExpectEnd(StatusCode::kResourceExhausted);
  EXPECT_EQ(4096, made);
}

TEST_F(ImpatientPortTest, MemoryThatDoesNotComeEndsIt) {
  AskForMemory();
  ExpectEnd(StatusCode::kUnavailable);
  ASSERT_TRUE(segment_);
  EXPECT_FALSE(segment_->ok());
}

TEST_F(ImpatientPortTest, AGrantMayTakeItsTime) {
  BeginEpoch();
  AskForMemory();
  const uint64_t grant = Read()->id;
  const uint64_t memory = Read()->id;
  Answer(hostlink::EncodeGrant(AnyGrant()), grant);
  Answer(hostlink::EncodeSegment({3, 4096, AnyFd()}), memory);
  ASSERT_TRUE(Until([this] { return segment_.has_value(); }));
  ASSERT_TRUE(segment_->ok());
  BeginEpoch();
  const uint64_t later = NowNanos() + 60 * kNanosPerMilli;
  ASSERT_TRUE(Until([&] { return NowNanos() > later; }));
  EXPECT_FALSE(port_->ended()) << "an application that is in no call answers when it is";
}

}  // namespace
}  // namespace mlos::backend
