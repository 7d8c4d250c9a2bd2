// SPDX-License-Identifier: Apache-2.0
//
// Applications' channels come and go while others are served.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

#include "plugin_host/test_util.h"

namespace mlos::plugin_host::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kApplication = 16;
constexpr hostlink::ChannelTerms kModelOne = {1, 7, false};

class ChannelsTest : public SchedulerTest {
 protected:
  using SchedulerTest::SchedulerTest;

  // Model 1 adds 1, model 2 adds 2, model 3 adds 3 once the gate is open.
  void Serve() {
    ASSERT_TRUE(scheduler_.AddModel(1, plugin_.Load(Add(1))).ok());
    ASSERT_TRUE(scheduler_.AddModel(2, plugin_.Load(Add(2))).ok());
    ASSERT_TRUE(scheduler_.AddModel(3, plugin_.Load(Add(3, &gate_))).ok());
    ASSERT_TRUE(scheduler_.AddChannel(core_.Attach(0)).ok());
    scheduler_.Serve();
  }
  void TearDown() override {
    gate_.Open();
    scheduler_.Stop();
  }

  Gate gate_;
  Application core_{1024};
  Application application_;
};

class OneWorkerTest : public ChannelsTest {
 protected:
  OneWorkerTest() : ChannelsTest(1) {}
};

TEST_F(ChannelsTest, AnApplicationIsServedWhileOthersRun) {
  Serve();
  const uint32_t slow = core_.Send({1}, {.model = 3});
  ASSERT_TRUE(gate_.WaitFor(1));
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  for (int i = 0; i < 200; ++i) {
    const auto value = static_cast<float>(i);
    ASSERT_THAT(application_.Call({value, 5}), ElementsAre(value + 1, 6));
    ASSERT_THAT(core_.Call({value}, {.model = 2}), ElementsAre(value + 2));
  }
  gate_.Open();
  EXPECT_THAT(core_.Wait(slow).values, ElementsAre(4));
}

TEST_F(ChannelsTest, TheTermsSayWhichModelRuns) {
  Serve();
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  EXPECT_THAT(application_.Call({10}, {.model = 2, .principal = 1}), ElementsAre(11));
  EXPECT_THAT(application_.Call({10}, {.model = 99, .principal = 0}), ElementsAre(11));
  // The core says so itself.
  EXPECT_THAT(core_.Call({10}, {.model = 2}), ElementsAre(12));
  EXPECT_EQ(core_.Wait(core_.Send({10}, {.model = 99})).code, StatusCode::kUnavailable);
}

TEST_F(ChannelsTest, NumbersTermsAndEntriesGoTogether) {
  const auto refusal = [&](uint32_t number, std::optional<hostlink::ChannelTerms> terms,
                           uint32_t entries) {
    Application application(entries);
    return scheduler_.AddChannel(application.Attach(number, terms));
  };
  EXPECT_EQ(refusal(kApplication, std::nullopt, 64).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(15, kModelOne, 64).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal(kMaxLanes, std::nullopt, 64).code(), StatusCode::kResourceExhausted);
  const Status many = refusal(kApplication, kModelOne, 128);
  EXPECT_EQ(many.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Message(many)), HasSubstr("at most 64 entries, this one has 128"));
  EXPECT_TRUE(refusal(kMaxLanes - 1, std::nullopt, 4096).ok());
  EXPECT_TRUE(refusal(UINT32_MAX, kModelOne, 64).ok());
}

TEST_F(ChannelsTest, ABrokenGrantIsRefusedAndLeavesNothing) {
  hostlink::AttachChannel broken = application_.Attach(kApplication, kModelOne);
  broken.grant.responses[0].bytes *= 2;
  EXPECT_FALSE(scheduler_.AddChannel(std::move(broken)).ok());
  // A host that wrote to it would be killed by SIGPIPE.
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ::close(pipe[0]);
  hostlink::AttachChannel deadly = application_.Attach(kApplication, kModelOne);
  deadly.grant.producer_event = OwnedFd(pipe[1]);
  EXPECT_EQ(scheduler_.AddChannel(std::move(deadly)).code(), StatusCode::kInvalidArgument);
  hostlink::AttachChannel deaf = application_.Attach(kApplication, kModelOne);
  deaf.grant.consumer_event = OwnedFd(::dup(deaf.grant.control.get()));  // no socket
  EXPECT_FALSE(scheduler_.AddChannel(std::move(deaf)).ok());
  EXPECT_EQ(scheduler_.DetachChannel(kApplication).code(), StatusCode::kNotFound);
  EXPECT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
}

TEST_F(ChannelsTest, WhatIsIdleIsDetachedAtOnce) {
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  ASSERT_TRUE(scheduler_.DetachChannel(kApplication).ok());
  EXPECT_TRUE(IsDetached(kApplication));  // nobody watches yet
  Serve();
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(17, kModelOne)).ok());
  EXPECT_THAT(application_.Call({1}), ElementsAre(2));
  EXPECT_EQ(scheduler_.AddChannel(Application().Attach(17, kModelOne)).code(),
            StatusCode::kAlreadyExists);
  ASSERT_TRUE(scheduler_.DetachChannel(17).ok());
  EXPECT_TRUE(WaitDetached(17));
  EXPECT_EQ(scheduler_.DetachChannel(17).code(), StatusCode::kNotFound);
  EXPECT_EQ(scheduler_.DetachChannel(18).code(), StatusCode::kNotFound);
}

TEST_F(ChannelsTest, WhatIsAnsweredIsCounted) {
  Serve();
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  EXPECT_THAT(core_.Call({1}, {.model = 1}), ElementsAre(2));
  EXPECT_TRUE(scheduler_.TakeServed().empty()) << "the core counts its own";
  for (int i = 0; i < 3; ++i) EXPECT_THAT(application_.Call({1}), ElementsAre(2));
  EXPECT_EQ(StatusCode::kDeadlineExceeded,
            application_.Wait(application_.Send({1}, {.deadline_ns = 1})).code);
  hostlink::Served sum;
  // An answer is seen before it is counted.
  const uint64_t until = NowNanos() + kPatienceNanos;
  while (sum.answers[4] == 0 && NowNanos() < until) {
    for (const hostlink::Served& served : scheduler_.TakeServed()) {
      EXPECT_EQ(kApplication, served.channel);
      for (size_t i = 0; i < sum.answers.size(); ++i) sum.answers[i] += served.answers[i];
      sum.executions += served.executions;
      sum.inferences += served.inferences;
      sum.run_ns += served.run_ns;
    }
  }
  EXPECT_EQ(3u, sum.answers[0]);
  EXPECT_EQ(1u, sum.answers[4]);
  EXPECT_EQ(3u, sum.executions);
  EXPECT_EQ(3u, sum.inferences);
  EXPECT_GT(sum.run_ns, 0u);
  EXPECT_THAT(application_.Call({1}), ElementsAre(2));
  ASSERT_TRUE(scheduler_.DetachChannel(kApplication).ok());
  ASSERT_TRUE(WaitDetached(kApplication));
  EXPECT_EQ(1u, left_over_.answers[0]) << "nothing is lost at the end";
}

TEST_F(ChannelsTest, WhatRunsIsAnsweredBeforeTheChannelGoes) {
  Serve();
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, {{3, 7, false}})).ok());
  const uint32_t running = application_.Send({1});
  ASSERT_TRUE(gate_.WaitFor(1));
  ASSERT_TRUE(scheduler_.DetachChannel(kApplication).ok());
  EXPECT_EQ(scheduler_.DetachChannel(kApplication).code(), StatusCode::kNotFound);
  EXPECT_EQ(scheduler_.AddChannel(Application().Attach(kApplication, kModelOne)).code(),
            StatusCode::kAlreadyExists);
  // Others go on, and the workers look around meanwhile.
  EXPECT_THAT(core_.Call({1}, {.model = 1}), ElementsAre(2));
  EXPECT_FALSE(IsDetached(kApplication));
  gate_.Open();
  EXPECT_THAT(application_.Wait(running).values, ElementsAre(4));
  EXPECT_TRUE(WaitDetached(kApplication));
  EXPECT_THAT(core_.Call({1}, {.model = 1}), ElementsAre(2));
}

TEST_F(OneWorkerTest, WhatNobodyHasClaimedStaysTheApplications) {
  Serve();
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  const uint32_t slow = core_.Send({1}, {.model = 3});
  ASSERT_TRUE(gate_.WaitFor(1));  // the only worker: nobody claims now
  std::vector<uint32_t> before = {application_.Send({1}), application_.Send({2})};
  ASSERT_TRUE(scheduler_.DetachChannel(kApplication).ok());
  gate_.Open();
  EXPECT_THAT(core_.Wait(slow).values, ElementsAre(4));
  EXPECT_TRUE(WaitDetached(kApplication));
  before.push_back(application_.Send({3}));  // it is not told yet
  EXPECT_THAT(core_.Call({1}, {.model = 1}), ElementsAre(2));
  for (const uint32_t entry : before) EXPECT_TRUE(application_.producer().Cancel(entry));
}

// Each request is answered or still the application's, none both, whenever the
// detaching comes; rings that a worker holds back are no exception.
TEST_F(ChannelsTest, DetachingInABurstLosesNothing) {
  Serve();
  for (uint32_t number = kApplication; number < kApplication + 200; ++number) {
    ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(number, kModelOne)).ok());
    std::vector<uint32_t> entries;
    entries.reserve(48);
    for (int i = 0; i < 48; ++i) entries.push_back(application_.Send({1}));
    if (number % 2 == 0) application_.Wait(entries[number % 48]);
    ASSERT_TRUE(scheduler_.DetachChannel(number).ok());
    ASSERT_TRUE(WaitDetached(number));
    application_.Collect();
    for (uint32_t i = 0; i < 48; ++i) {
      const bool waited = number % 2 == 0 && i == number % 48;
      if (waited || application_.Came(entries[i])) continue;
      ASSERT_TRUE(application_.producer().Cancel(entries[i]));
    }
    ASSERT_EQ(application_.producer().in_flight(), 0u);
    application_.ForgetAnswers();
  }
}

TEST_F(ChannelsTest, SlotsAreUsedAgain) {
  std::atomic<uint32_t> slot = 0;
  ASSERT_TRUE(scheduler_
                  .AddModel(1, plugin_.Load([&, add = Add(1)](const smi_host_api& host,
                                                              const smi_request& request,
                                                              smi_error* error) {
                    slot = request.slot;
                    return add(host, request, error);
                  }))
                  .ok());
  scheduler_.Serve();
  Application other;
  ASSERT_TRUE(scheduler_.AddChannel(other.Attach(kApplication, kModelOne)).ok());
  EXPECT_THAT(other.Call({1}), ElementsAre(2));
  EXPECT_LT(slot - kFirstBlock, kBlockSlots);
  for (uint32_t number = kApplication + 1; number <= kApplication + 2000; ++number) {
    ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(number, kModelOne)).ok());
    ASSERT_THAT(application_.Call({1}), ElementsAre(2));
    ASSERT_LT(slot - kFirstBlock - kBlockSlots, kBlockSlots);
    ASSERT_TRUE(scheduler_.DetachChannel(number).ok());
    ASSERT_TRUE(WaitDetached(number));
  }
}

TEST_F(ChannelsTest, NobodySuspectsItselfToRunAlone) {
  Serve();
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  const uint32_t slow = core_.Send({1}, {.model = 3});
  ASSERT_TRUE(gate_.WaitFor(1));
  // A suspect would wait for the model at the gate, and others for the suspect.
  EXPECT_THAT(application_.Call({1}, {.flags = channel::kSuspect}), ElementsAre(2));
  gate_.Open();
  EXPECT_THAT(core_.Wait(slow).values, ElementsAre(4));
}

TEST_F(ChannelsTest, AnApplicationThatGivesNoMemoryDelaysNobodyForLong) {
  Serve();
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  // Neither question nor answer fits into a first segment.
  const std::vector<float> large(300'000, 1.0F);
  hostlink::AddSegment more{kApplication, false,
                            application_.producer().AddRequestSegment(2 << 20).value()};
  const uint32_t id = more.segment.id;
  ASSERT_TRUE(scheduler_.AddSegment(std::move(more)).ok());
  application_.producer().ActivateRequestSegment(id);
  for (int i = 0; i < 3; ++i) {
    const Answer answer = application_.Wait(application_.Send(large));
    EXPECT_EQ(answer.code, StatusCode::kResourceExhausted);
    EXPECT_THAT(answer.text, HasSubstr("the application has not given any in time"));
  }
  EXPECT_EQ(WaitAsked(kApplication, 1), 1);  // and not waited for again
  ASSERT_TRUE(scheduler_
                  .AddSegment({kApplication, true,
                               application_.producer().AddResponseSegment(2 << 20).value()})
                  .ok());
  EXPECT_EQ(application_.Call(large).size(), large.size());
}

TEST_F(ChannelsTest, AnApplicationAddsOnlySoManySegments) {
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kModelOne)).ok());
  Status status;
  int added = 0;
  for (; status.ok() && added < 1000; ++added) {
    status = scheduler_.AddSegment(
        {kApplication, true, application_.producer().AddResponseSegment(1).value()});
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(added, 129);
}

}  // namespace
}  // namespace mlos::plugin_host::testing
