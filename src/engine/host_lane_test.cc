// SPDX-License-Identifier: Apache-2.0
#include "engine/host_lane.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace mlos::engine {
namespace {

class IgnoringObserver : public LaneObserver {
 public:
  void OnCompletion(HostLane& lane, const channel::Completion& completion) override {
    lane.producer().Release(completion.entry);
  }
  void OnSpace(HostLane&) override {}
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
  IgnoringObserver observer;
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

}  // namespace
}  // namespace mlos::engine
