// SPDX-License-Identifier: Apache-2.0
#include "hostlink/link.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace mlos::hostlink {
namespace {

struct Pair {
  Pair() {
    int fds[2];
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    raw = fds[1];
    a = std::make_unique<Link>(OwnedFd(fds[0]));
  }
  int raw;
  std::unique_ptr<Link> a;
};

// Receives until `count` frames are there or the link ends.
std::vector<Frame> ReceiveCount(Link& link, size_t count) {
  std::vector<Frame> frames;
  while (frames.size() < count) {
    pollfd p{link.fd(), POLLIN, 0};
    if (poll(&p, 1, 5000) <= 0) break;
    if (!link.Receive(&frames).ok()) break;
  }
  return frames;
}

TEST(LinkTest, CarriesTypeIdPayloadAndDescriptors) {
  Pair pair;
  Link b{OwnedFd(pair.raw)};
  Frame frame;
  frame.type = 7;
  frame.id = 99;
  frame.payload = "{}";
  frame.fds.emplace_back(eventfd(5, EFD_CLOEXEC));
  ASSERT_TRUE(pair.a->Send(std::move(frame)).ok());
  std::vector<Frame> got = ReceiveCount(b, 1);
  ASSERT_EQ(1u, got.size());
  EXPECT_EQ(7u, got[0].type);
  EXPECT_EQ(99u, got[0].id);
  EXPECT_EQ("{}", got[0].payload);
  ASSERT_EQ(1u, got[0].fds.size());
  eventfd_t value = 0;
  ASSERT_EQ(0, eventfd_read(got[0].fds[0].get(), &value));
  EXPECT_EQ(5u, value);
}

TEST(LinkTest, KeepsManyFramesAndTheirDescriptorsInOrder) {
  Pair pair;
  Link b{OwnedFd(pair.raw)};
  constexpr int kFrames = 300;
  std::thread sender([&] {
    for (int i = 0; i < kFrames; ++i) {
      Frame frame;
      frame.id = static_cast<uint64_t>(i);
      frame.payload = std::string(static_cast<size_t>(i) * 97, 'x');
      for (int k = 0; k < i % 3; ++k) {
        frame.fds.emplace_back(eventfd(static_cast<unsigned>(i), EFD_CLOEXEC));
      }
      ASSERT_TRUE(pair.a->Send(std::move(frame)).ok());
    }
  });
  const std::vector<Frame> got = ReceiveCount(b, kFrames);
  sender.join();
  ASSERT_EQ(static_cast<size_t>(kFrames), got.size());
  for (int i = 0; i < kFrames; ++i) {
    const Frame& frame = got[static_cast<size_t>(i)];
    EXPECT_EQ(static_cast<uint64_t>(i), frame.id);
    EXPECT_EQ(static_cast<size_t>(i) * 97, frame.payload.size());
    ASSERT_EQ(static_cast<size_t>(i % 3), frame.fds.size());
    for (const OwnedFd& fd : frame.fds) {
      eventfd_t value = 0;
      ASSERT_EQ(0, eventfd_read(fd.get(), &value));
      EXPECT_EQ(static_cast<eventfd_t>(i), value);
    }
  }
}

TEST(LinkTest, RefusesFramesOverItsBounds) {
  Pair pair;
  Frame frame;
  frame.payload = std::string(size_t{kMaxPayload} + 1, 'x');
  EXPECT_EQ(StatusCode::kResourceExhausted, pair.a->Enqueue(std::move(frame)).code());
  close(pair.raw);
}

TEST(LinkTest, DoesNotQueueWithoutEndForAPeerThatDoesNotRead) {
  Pair pair;
  Status status;
  int sent = 0;
  for (; sent < 100 && status.ok(); ++sent) {
    Frame frame;
    frame.payload = std::string(kMaxPayload, 'x');
    status = pair.a->Enqueue(std::move(frame));
    if (status.ok()) {
      ASSERT_TRUE(pair.a->Flush().ok());
    }
  }
  EXPECT_EQ(StatusCode::kResourceExhausted, status.code());
  EXPECT_LT(sent, 10);
  close(pair.raw);
}

TEST(LinkTest, EndsOnAHeaderOutOfBounds) {
  Pair pair;
  const uint32_t bad[6] = {0xffffffffu, 1, 0, 0, 0, 0};
  ASSERT_EQ(static_cast<ssize_t>(sizeof bad), write(pair.raw, bad, sizeof bad));
  std::vector<Frame> frames;
  EXPECT_EQ(StatusCode::kInvalidArgument, pair.a->Receive(&frames).code());
  EXPECT_TRUE(frames.empty());
  close(pair.raw);
}

TEST(LinkTest, EndsOnDescriptorsThatWereAnnouncedAndNotSent) {
  Pair pair;
  const uint32_t lying[6] = {0, 1, 0, 0, 2, 0};
  ASSERT_EQ(static_cast<ssize_t>(sizeof lying), write(pair.raw, lying, sizeof lying));
  std::vector<Frame> frames;
  EXPECT_EQ(StatusCode::kInvalidArgument, pair.a->Receive(&frames).code());
  close(pair.raw);
}

TEST(LinkTest, SaysWhenThePeerHasClosedAndStillGivesWhatCameBefore) {
  Pair pair;
  {
    Link b{OwnedFd(pair.raw)};
    Frame frame;
    frame.type = 3;
    ASSERT_TRUE(b.Send(std::move(frame)).ok());
  }
  std::vector<Frame> frames;
  EXPECT_EQ(StatusCode::kUnavailable, pair.a->Receive(&frames).code());
  ASSERT_EQ(1u, frames.size());
  EXPECT_EQ(3u, frames[0].type);
}

TEST(LinkTest, APeerThatSendsWithoutEndDoesNotKeepTheReader) {
  Pair pair;
  Link b{OwnedFd(pair.raw)};
  constexpr size_t kFrames = 60;
  for (size_t i = 0; i < kFrames; ++i) {
    Frame frame;
    frame.fds.emplace_back(eventfd(0, EFD_CLOEXEC));  // the kernel gives one such message at a time
    ASSERT_TRUE(pair.a->Send(std::move(frame)).ok());
  }
  std::vector<Frame> frames;
  ASSERT_TRUE(b.Receive(&frames).ok());
  EXPECT_GT(frames.size(), 0u);
  EXPECT_LT(frames.size(), kFrames);
  while (frames.size() < kFrames) ASSERT_TRUE(b.Receive(&frames).ok());
}

TEST(LinkTest, EndsOnDescriptorsWhereNoneAreTaken) {
  Pair pair;
  Link b{OwnedFd(pair.raw), Link::Descriptors::kRefused};
  Frame frame;
  frame.fds.emplace_back(eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(pair.a->Send(std::move(frame)).ok());
  std::vector<Frame> frames;
  EXPECT_EQ(StatusCode::kInvalidArgument, b.Receive(&frames).code());
  EXPECT_TRUE(frames.empty());
}

TEST(LinkTest, OfAFewTheBoundsAreSmall) {
  for (const bool fds : {false, true}) {
    Pair pair;
    Link b{OwnedFd(pair.raw), Link::Descriptors::kFew};
    std::vector<Frame> frames;
    Frame most;
    most.payload.assign(kFewPayload, 'x');
    for (uint32_t i = 0; i < kFewFds; ++i) most.fds.emplace_back(eventfd(0, EFD_CLOEXEC));
    ASSERT_TRUE(pair.a->Send(std::move(most)).ok());
    while (frames.empty()) ASSERT_TRUE(b.Receive(&frames).ok());
    EXPECT_EQ(kFewFds, frames[0].fds.size());

    Frame more;
    if (!fds) more.payload.assign(kFewPayload + 1, 'x');
    for (uint32_t i = 0; fds && i <= kFewFds; ++i) more.fds.emplace_back(eventfd(0, EFD_CLOEXEC));
    ASSERT_TRUE(pair.a->Send(std::move(more)).ok());
    EXPECT_EQ(StatusCode::kInvalidArgument, b.Receive(&frames).code());
    EXPECT_EQ(1u, frames.size());
  }
}

}  // namespace
}  // namespace mlos::hostlink
