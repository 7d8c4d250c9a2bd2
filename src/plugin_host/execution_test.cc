// SPDX-License-Identifier: Apache-2.0
//
// Whose memory a plugin sees: the application's, or a copy that nobody else can
// write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "channel/segment.h"
#include "plugin_host/test_util.h"

namespace mlos::plugin_host::testing {
namespace {

using ::testing::ElementsAre;

constexpr uint32_t kApplication = 16;
constexpr hostlink::ChannelTerms kCopied = {1, 7, false};
constexpr hostlink::ChannelTerms kInPlace = {1, 7, true};

class MemoryTest : public SchedulerTest {
 protected:
  // A model that stops at the gate before it reads; what it then answers with
  // when the application has meanwhile written 9 over its 1.
  float ReadAfterRewriting(hostlink::ChannelTerms terms, smi_datatype datatype, uint64_t shift) {
    EXPECT_TRUE(scheduler_.AddModel(1, plugin_.Load(Add(0, &gate_), datatype)).ok());
    EXPECT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, terms)).ok());
    scheduler_.Serve();
    const uint32_t entry = application_.Send({1}, {}, datatype, shift);
    EXPECT_TRUE(gate_.WaitFor(1));
    application_.Rewrite(entry, {9});
    gate_.Open();
    const Answer answer = application_.Wait(entry);
    return answer.values.size() == 1 ? answer.values[0] : -1;
  }

  // All that lies in the response segment, which an application can map as it
  // likes.
  std::unique_ptr<channel::Segment> ResponseSegment() {
    channel::ConsumerGrant grant = application_.producer().Grant().value();
    return channel::Segment::Map(std::move(grant.responses[0].fd), grant.responses[0].bytes,
                                 channel::Access::kReadWrite)
        .value();
  }

  void TearDown() override {
    gate_.Open();
    scheduler_.Stop();
  }

  Gate gate_;
  Application application_;
};

TEST_F(MemoryTest, InputsAreCopied) { EXPECT_EQ(ReadAfterRewriting(kCopied, SMI_FP32, 0), 1); }

TEST_F(MemoryTest, InputsAreUsedWhereTheyLieIfTheTermsAllowIt) {
  EXPECT_EQ(ReadAfterRewriting(kInPlace, SMI_FP32, 0), 9);
}

TEST_F(MemoryTest, IntegersAreCopiedAlways) {
  EXPECT_EQ(ReadAfterRewriting(kInPlace, SMI_INT32, 0), 1);
}

TEST_F(MemoryTest, WhatIsNotAlignedIsCopied) {
  EXPECT_EQ(ReadAfterRewriting(kInPlace, SMI_FP32, 4), 1);
}

// Writes its output, then stops at the gate, then answers.
Behaviour WriteAndWait(Gate* gate, float value, std::atomic<bool>* aligned) {
  return [=](const smi_host_api& host, const smi_request& request, smi_error* error) -> smi_code {
    constexpr int64_t kShape[] = {100};
    void* out = nullptr;
    const smi_code code =
        host.allocate_output(&request, 0, SMI_FP32, 1, kShape, 100 * sizeof(float), &out, error);
    if (code != SMI_OK) return code;
    *aligned = reinterpret_cast<uintptr_t>(out) % 64 == 0;
    std::fill_n(static_cast<float*>(out), 100, value);
    gate->Pass();
    return host.respond(&request, error);
  };
}

bool Contains(const channel::Segment& segment, float value) {
  const auto* begin = reinterpret_cast<const float*>(segment.data());
  const auto* end = begin + segment.size() / sizeof(float);
  return std::find(begin, end, value) != end;
}

TEST_F(MemoryTest, OutputsAreOutOfReachUntilTheAnswer) {
  std::atomic<bool> aligned = false;
  ASSERT_TRUE(scheduler_.AddModel(1, plugin_.Load(WriteAndWait(&gate_, 1234.5F, &aligned))).ok());
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kCopied)).ok());
  const auto segment = ResponseSegment();
  scheduler_.Serve();
  const uint32_t entry = application_.Send({1});
  ASSERT_TRUE(gate_.WaitFor(1));
  EXPECT_TRUE(aligned);
  EXPECT_FALSE(Contains(*segment, 1234.5F));
  std::fill_n(segment->data(), segment->size(), std::byte{0xee});
  gate_.Open();
  EXPECT_EQ(application_.Wait(entry).values, std::vector<float>(100, 1234.5F));
}

// Gives up when it is told that nobody waits.
Behaviour UntilNobodyWaits(Gate* gate) {
  return [=](const smi_host_api& host, const smi_request& request, smi_error*) -> smi_code {
    gate->Pass();
    while (!host.is_cancelled(&request)) std::this_thread::yield();
    host.fail(&request, SMI_CANCELLED, "gave up");
    return SMI_OK;
  };
}

TEST_F(MemoryTest, WhatWasGivenUpSaysWhetherItWasLateOrCancelled) {
  ASSERT_TRUE(scheduler_.AddModel(1, plugin_.Load(UntilNobodyWaits(&gate_))).ok());
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kInPlace)).ok());
  scheduler_.Serve();
  const uint32_t late = application_.Send({1}, {.deadline_ns = NowNanos() + kNanosPerSecond / 5});
  ASSERT_TRUE(gate_.WaitFor(1));
  const uint32_t cancelled = application_.Send({1});
  ASSERT_TRUE(gate_.WaitFor(2));
  EXPECT_FALSE(application_.producer().Cancel(cancelled)) << "the host has it";
  gate_.Open();
  EXPECT_EQ(application_.Wait(cancelled).code, StatusCode::kCancelled);
  EXPECT_EQ(application_.Wait(late).code, StatusCode::kDeadlineExceeded);
}

TEST_F(MemoryTest, OutputsAreWrittenInPlaceIfTheTermsAllowIt) {
  std::atomic<bool> aligned = false;
  ASSERT_TRUE(scheduler_.AddModel(1, plugin_.Load(WriteAndWait(&gate_, 1234.5F, &aligned))).ok());
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kInPlace)).ok());
  const auto segment = ResponseSegment();
  scheduler_.Serve();
  const uint32_t entry = application_.Send({1});
  ASSERT_TRUE(gate_.WaitFor(1));
  EXPECT_TRUE(aligned);
  EXPECT_TRUE(Contains(*segment, 1234.5F));
  gate_.Open();
  EXPECT_EQ(application_.Wait(entry).values, std::vector<float>(100, 1234.5F));
}

// As plugins may that find out the shape late.
TEST_F(MemoryTest, ALaterOutputReplacesTheEarlier) {
  const auto twice = [](const smi_host_api& host, const smi_request& request,
                        smi_error* error) -> smi_code {
    void* out = nullptr;
    for (const int64_t count : {int64_t{1000}, int64_t{2}}) {
      const auto bytes = static_cast<uint64_t>(count) * sizeof(float);
      const smi_code code =
          host.allocate_output(&request, 0, SMI_FP32, 1, &count, bytes, &out, error);
      if (code != SMI_OK) return code;
      std::fill_n(static_cast<float*>(out), count, static_cast<float>(count));
    }
    return host.respond(&request, error);
  };
  ASSERT_TRUE(scheduler_.AddModel(1, plugin_.Load(twice)).ok());
  ASSERT_TRUE(scheduler_.AddChannel(application_.Attach(kApplication, kCopied)).ok());
  scheduler_.Serve();
  for (int i = 0; i < 3; ++i) EXPECT_THAT(application_.Call({1}), ElementsAre(2, 2));
}

}  // namespace
}  // namespace mlos::plugin_host::testing
