// SPDX-License-Identifier: Apache-2.0
#include "engine/host_lane.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "channel/consumer.h"

namespace mlos::engine {
namespace {

class CountingObserver : public LaneObserver {
 public:
  void OnCompletion(HostLane& lane, const channel::Completion& completion) override {
    ++(completion.lost ? lost : answered);
    lane.producer().Release(completion.entry);
  }
  void OnSpace(HostLane&) override {}
  void OnConsumerLost(HostLane&) override {}
  void OnStrike(HostLane&, uint32_t) override {}
  int answered = 0;
  int lost = 0;
};

// Counts how often the loop came round to its pollers.
class CountingPoller : public Poller {
 public:
  size_t Work() override {
    ++rounds;
    return 0;
  }
  bool HasWork() const override { return false; }
  bool Expecting() const override { return false; }
  bool PrepareSleep() override { return true; }
  void FinishSleep() override {}
  std::atomic<int> rounds = 0;
};

TEST(HostLaneTest, ARingOutOfTurnDoesNotKeepTheLoop) {
  EventLoop loop;
  EventLoop control;
  CountingObserver observer;
  auto producer = channel::Producer::Create({});
  ASSERT_TRUE(producer.ok());
  const int event = (*producer)->event_fd();
  auto lane = std::make_shared<HostLane>(loop, control, *std::move(producer));
  lane->Open(&observer);
  CountingPoller poller;
  loop.AddPoller(&poller);
  std::thread thread([&] { loop.Run(); });
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(0, eventfd_write(event, 1));  // as a host may at any time
    const int before = poller.rounds;
    loop.Post([] {});
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (poller.rounds == before && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    ASSERT_GT(poller.rounds, before);
  }
  loop.Post([&] { lane->Close(); });
  loop.Stop();
  thread.join();
}

TEST(HostLaneTest, WhatTheHostAnsweredLastIsDeliveredBeforeTheLaneCloses) {
  EventLoop loop;
  EventLoop control;
  CountingObserver observer;
  auto producer = channel::Producer::Create({});
  ASSERT_TRUE(producer.ok());
  ASSERT_TRUE((*producer)->BeginEpoch().ok());
  auto consumer = channel::Consumer::Attach(*(*producer)->Grant());
  ASSERT_TRUE(consumer.ok());
  for (int i = 0; i < 2; ++i) {
    channel::RequestSlot slot;
    ASSERT_EQ(channel::BeginResult::kOk, (*producer)->Begin(0, 64, &slot));
    (*producer)->Submit(slot, {});
  }
  channel::Claim claim;
  ASSERT_TRUE((*consumer)->Next(&claim));
  const auto block = (*consumer)->AllocateResponse(claim.entry, 0, 64);
  ASSERT_TRUE(block.ok());
  ASSERT_TRUE((*consumer)->Complete(claim, block->block, {}));
  auto lane = std::make_shared<HostLane>(loop, control, *std::move(producer));
  lane->Open(&observer);
  // All in one turn of the loop: nobody looks at the channel in between.
  lane->Fail(Unavailable("it is gone"));
  loop.Post([&] { lane->Close(); });
  loop.Stop();
  std::thread thread([&] { loop.Run(); });
  thread.join();
  loop.io().poll();
  EXPECT_EQ(1, observer.answered);
  EXPECT_EQ(1, observer.lost);
}

TEST(HostLaneTest, ManyLargeRequestsTakeFewSegments) {
  EventLoop loop;
  EventLoop control;
  auto producer = channel::Producer::Create({});
  ASSERT_TRUE(producer.ok());
  ASSERT_TRUE((*producer)->BeginEpoch().ok());
  auto lane = std::make_shared<HostLane>(loop, control, *std::move(producer));
  uint32_t segments = 0;
  lane->send_request_segment = [&](channel::SegmentGrant segment) {
    ++segments;
    lane->ActivateRequestSegment(segment.id);
  };
  constexpr uint64_t kBytes = 602'112;
  for (int i = 0; i < 700; ++i) {
    channel::RequestSlot slot;
    while (lane->producer().Begin(0, kBytes, &slot) == channel::BeginResult::kNoSpace) {
      ASSERT_TRUE(lane->Grow(kBytes).ok());
      control.io().poll();
      control.io().restart();
      loop.io().poll();
      loop.io().restart();
    }
  }
  // A successor must be able to take them all in one message.
  EXPECT_LT(segments, 40u);
  // Up to the limit, what is left of it is still given.
  uint64_t bytes = 0;
  while (lane->Grow(kBytes).ok()) {
    control.io().poll();
    control.io().restart();
    loop.io().poll();
    loop.io().restart();
    bytes = lane->producer().segment_bytes();
  }
  EXPECT_GT(bytes, channel::Options{}.max_bytes - (8u << 20));
  EXPECT_LT(segments, 80u);
}

}  // namespace
}  // namespace mlos::engine
