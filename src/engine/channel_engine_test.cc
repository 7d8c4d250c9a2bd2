// SPDX-License-Identifier: Apache-2.0
#include "engine/channel_engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "channel/consumer.h"

namespace mlos::engine {
namespace {

constexpr uint64_t kHost = 7;
constexpr uint64_t kFarAway = 3600 * kNanosPerSecond;

// Of a front end that ends several calls as soon as one of them has an error.
class Linked : public Call {
 public:
  Linked(Engine& engine, std::vector<std::unique_ptr<Linked>>& all) : engine_(engine), all_(all) {}

  void OnProgress() override {
    ++progressed;
    said = status;
    for (const auto& one : all_) engine_.Finish(*one);
  }

  int progressed = 0;
  Status said;
  tensor::RequestPlan plan;

 private:
  Engine& engine_;
  std::vector<std::unique_ptr<Linked>>& all_;
};

class ChannelEngineTest : public testing::Test {
 protected:
  ChannelEngineTest()
      : engine_(loop_, control_, {}, [](const std::string&, const std::string&, const auto&) {}) {
    auto lane = engine_.OpenLane(kHost);
    EXPECT_TRUE(lane.ok());
    lane_ = *lane;
    auto info = std::make_shared<ModelInfo>();
    auto table = std::make_shared<RoutingTable>();
    auto ready = std::make_shared<ModelRoute>();
    ready->name = "ready";
    ready->version = "1";
    ready->state = ModelState::kReady;
    ready->id = 1;
    ready->info = info;
    ready->host = kHost;
    table->Add(std::move(ready));
    auto loading = std::make_shared<ModelRoute>();
    loading->name = "loading";
    loading->version = "1";
    loading->state = ModelState::kLoading;
    loading->id = 2;
    table->Add(std::move(loading));
    engine_.Publish(std::move(table));
    Turn();
  }
  ~ChannelEngineTest() override {
    for (const auto& call : calls_) engine_.Finish(*call);
    engine_.CloseLane(kHost);
    Turn();
  }

  void Turn() {
    for (EventLoop* loop : {&control_, &loop_}) {
      loop->io().restart();
      loop->io().poll();
    }
  }

  Linked& Add(uint64_t deadline_ns) {
    calls_.push_back(std::make_unique<Linked>(engine_, calls_));
    calls_.back()->deadline_ns = deadline_ns;
    return *calls_.back();
  }

  // Asks for more than the channel has: it waits until there is a segment, which never comes.
  void AddWaiter(uint64_t deadline_ns) {
    Linked& call = Add(deadline_ns);
    ASSERT_TRUE(engine_.Resolve(call, "ready", ""));
    ASSERT_TRUE(call.status.ok()) << call.status;
    tensor::TensorDesc desc{};
    desc.bytes = 4 << 20;
    call.plan.inputs.push_back(desc);
    ASSERT_FALSE(engine_.Allocate(call, &call.plan)) << call.status;
  }

  // Until somebody was told something; then what else there was to be told.
  void Wait() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (Told() == 0 && std::chrono::steady_clock::now() < end) {
      loop_.io().restart();
      loop_.io().run_one_for(std::chrono::milliseconds(100));
    }
    Turn();
  }

  int Told() const {
    int told = 0;
    for (const auto& call : calls_) told += call->progressed;
    return told;
  }

  EventLoop loop_;
  EventLoop control_;
  ChannelEngine engine_;
  std::shared_ptr<HostLane> lane_;
  std::vector<std::unique_ptr<Linked>> calls_;
};

// Its leases tell another loop, which is gone when this loop's queue is.
TEST(ChannelEngineEndTest, ATableThatWasNotTakenGoesWithTheEngine) {
  EventLoop loop;
  EventLoop control;
  bool gone = false;
  auto engine =
      std::make_unique<ChannelEngine>(loop, control, channel::Options{},
                                      [](const std::string&, const std::string&, const auto&) {});
  for (int i = 0; i < 2; ++i) {
    engine->Publish(
        std::shared_ptr<const RoutingTable>(new RoutingTable, [&gone](const RoutingTable* table) {
          delete table;
          gone = true;
        }));
  }
  EXPECT_TRUE(gone);  // nobody takes the first when there is a second
  gone = false;
  engine.reset();
  EXPECT_TRUE(gone);
}

TEST_F(ChannelEngineTest, OneThatGetsNoMemoryMayEndTheOthersThatWaitForIt) {
  for (int i = 0; i < 3; ++i) AddWaiter(NowNanos() + kFarAway);
  lane_->Fail(Unavailable("the host is gone"));
  Turn();
  EXPECT_EQ(1, Told());
  EXPECT_EQ(1, calls_[0]->progressed);
  EXPECT_EQ("the host is gone", Message(calls_[0]->said));
}

TEST_F(ChannelEngineTest, OneThatWaitsForMemoryAndIsLateMayEndTheOthers) {
  for (int i = 0; i < 3; ++i) AddWaiter(NowNanos());
  Wait();
  EXPECT_EQ(1, Told());
  EXPECT_EQ(absl::StatusCode::kDeadlineExceeded, calls_[0]->said.code());
}

TEST_F(ChannelEngineTest, OneThatWaitsForItsModelAndIsLateMayEndTheOthers) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(engine_.Resolve(Add(NowNanos()), "loading", ""));
  }
  Wait();
  EXPECT_EQ(1, Told());
  EXPECT_EQ(absl::StatusCode::kDeadlineExceeded, calls_[0]->said.code());
}

// Clients take an error without a text for success.
TEST_F(ChannelEngineTest, AnErrorHasATextEvenIfTheHostGivesNone) {
  std::unique_ptr<channel::Consumer> host;
  lane_->BeginEpoch({}, [&](StatusOr<channel::ConsumerGrant> grant) {
    ASSERT_TRUE(grant.ok());
    auto consumer = channel::Consumer::Attach(*std::move(grant));
    ASSERT_TRUE(consumer.ok());
    host = *std::move(consumer);
  });
  for (int i = 0; i < 2; ++i) Turn();
  ASSERT_NE(nullptr, host);
  Linked& call = Add(NowNanos() + kFarAway);
  ASSERT_TRUE(engine_.Resolve(call, "ready", ""));
  ASSERT_TRUE(engine_.Allocate(call, &call.plan)) << call.status;
  ASSERT_FALSE(engine_.Submit(call)) << call.status;
  channel::Claim claim;
  ASSERT_TRUE(host->Next(&claim));
  const auto block = host->AllocateResponse(claim.entry, 0, tensor::ResponseBlockBytes(0, 0));
  ASSERT_TRUE(block.ok());
  tensor::WriteResponse(StatusCode::kInvalidArgument, {}, "", block->memory);
  ASSERT_TRUE(host->Complete(claim, block->block, {}));
  engine_.Work();
  EXPECT_EQ(1, Told());
  EXPECT_EQ(StatusCode::kInvalidArgument, call.said.code());
  EXPECT_NE("", Message(call.said));
}

}  // namespace
}  // namespace mlos::engine
