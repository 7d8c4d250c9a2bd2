// SPDX-License-Identifier: Apache-2.0
//
// The client through its binary interface, before a daemon and a plugin host that the
// test has under control: also such as do not keep to the protocol.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>

#include "client/fake_daemon.h"
#include "mlos/client.h"

namespace mlos::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kLimitUs = 10'000'000;

class ClientTest : public testing::Test {
 protected:
  ~ClientTest() override { mlos_disconnect(client_); }

  mlos_error* error() {
    text_[0] = '\0';
    return &error_;
  }
  std::string Say(mlos_code code) const {
    return code == MLOS_OK ? "" : std::string(mlos_code_name(code)) + ": " + text_;
  }
  std::string Connect() {
    mlos_disconnect(client_);
    return Say(mlos_connect(daemon_.address().c_str(), nullptr, &client_, error()));
  }
  // While the client opens the model the fake is its core.
  std::string Open() {
    if (std::string why = Connect(); !why.empty()) return why;
    std::future<std::string> opening = std::async(std::launch::async, [this] {
      return Say(mlos_model_open(client_, "m", nullptr, kLimitUs, &model_, error()));
    });
    EXPECT_TRUE(daemon_.WaitOpened(1));
    EXPECT_TRUE(daemon_.BeginEpoch());
    return opening.get();
  }
  std::string Prepare(mlos_call** call, std::vector<int64_t> dims = {2}) {
    if (*call == nullptr) {
      EXPECT_EQ(MLOS_OK, mlos_call_create(model_, call, error()));
    }
    input_ = {};
    input_.struct_size = sizeof(input_);
    input_.rank = static_cast<uint32_t>(dims.size());
    std::copy(dims.begin(), dims.end(), input_.dims);
    mlos_request request{};
    request.struct_size = sizeof(request);
    request.input_count = 1;
    request.inputs = &input_;
    std::string why = Say(mlos_call_prepare(*call, &request, kLimitUs, error()));
    if (why.empty()) Fill(1);
    return why;
  }
  void Fill(float value) {
    auto* const x = static_cast<float*>(input_.data);
    for (uint64_t i = 0; i < input_.bytes / sizeof(float); ++i) x[i] = value;
  }
  std::string Submit(mlos_call* call, int64_t limit_us = kLimitUs) {
    return Say(mlos_call_submit(call, limit_us, error()));
  }
  std::string Wait(mlos_call* call) { return Say(mlos_call_wait(call, error())); }
  // Waits on another thread, so that this one can be core and host.
  std::future<std::string> Waiting(mlos_call* call) {
    return std::async(std::launch::async, [this, call] { return Wait(call); });
  }
  static std::vector<float> Output(const mlos_call* call) {
    mlos_tensor output{};
    output.struct_size = sizeof(output);
    if (mlos_call_output(call, 0, &output) != MLOS_OK) return {};
    std::vector<float> values(output.bytes / sizeof(float));
    std::memcpy(values.data(), output.data, output.bytes);
    return values;
  }
  // Submits, has the host answer so, and gives what came of it.
  std::string Run(mlos_call* call) { return Run(call, FakeDaemon::Answer()); }
  std::string Run(mlos_call* call, const FakeDaemon::Answer& answer) {
    EXPECT_EQ("", Submit(call));
    const auto claim = daemon_.Claim();
    EXPECT_TRUE(claim && daemon_.Reply(*claim, answer));
    return Wait(call);
  }

  FakeDaemon daemon_;
  mlos_client* client_ = nullptr;
  mlos_model* model_ = nullptr;
  mlos_tensor input_{};
  char text_[1024] = {};
  mlos_error error_{sizeof(mlos_error), sizeof(text_), text_};
};

// ------------------------------------------------------------------- the socket

TEST_F(ClientTest, NobodyListens) {
  daemon_.Stop();
  EXPECT_THAT(Connect(), HasSubstr("UNAVAILABLE: cannot connect to"));
  daemon_.Listen();
  EXPECT_EQ("", Connect());
  mlos_client* none = client_;
  EXPECT_THAT(Say(mlos_connect("http://x", nullptr, &none, error())),
              HasSubstr("INVALID_ARGUMENT: \"http://x\" is no address of a local socket"));
  EXPECT_EQ(nullptr, none);
}

TEST_F(ClientTest, ADaemonThatMakesNoSense) {
  const auto framed = [](ipc::Tell type, uint64_t call, uint64_t bytes, uint32_t descriptors,
                         const std::string& payload) {
    const ipc::FrameHeader header{static_cast<uint32_t>(type), descriptors, call, bytes};
    return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + payload;
  };
  const std::vector<std::string> answers = {
      "",
      "HTTP/1.1 400 Bad Request\r\n\r\n",
      std::string(200, '\xff'),
      framed(ipc::Tell::kWelcome, 1, 4, 0, "abc"),
      framed(ipc::Tell::kWelcome, 1, 4, 0, "abcd"),
      framed(ipc::Tell::kWelcome, 77, 0, 0, ""),
      framed(ipc::Tell::kOutputs, 1, 0, 0, ""),
      framed(ipc::Tell::kFailure, 1, 1, 0, "x"),
      framed(ipc::Tell::kWelcome, 1, uint64_t{1} << 60, 0, ""),
      framed(ipc::Tell::kWelcome, 1, uint64_t{1} << 40, 0, ""),
      framed(ipc::Tell::kWelcome, 1, 0, 9, ""),
  };
  for (const std::string& answer : answers) {
    daemon_.GreetWith(answer);
    EXPECT_NE("", Connect()) << answer;
    EXPECT_EQ(nullptr, client_);
  }
  daemon_.GreetWith({});
  EXPECT_EQ("", Connect());
}

TEST_F(ClientTest, AFailureIsSaidWithItsHint) {
  ASSERT_EQ("", Connect());
  const char* json = nullptr;
  EXPECT_EQ(
      "UNAVAILABLE: not here (wait)",
      Say(mlos_control(client_, "x", nullptr, nullptr, nullptr, true, kLimitUs, &json, error())));
}

TEST_F(ClientTest, AChannelWithoutItsDescriptorIsNone) {
  daemon_.without_descriptor = true;
  ASSERT_EQ("", Connect());
  EXPECT_THAT(Say(mlos_model_open(client_, "m", nullptr, kLimitUs, &model_, error())),
              HasSubstr("without its descriptor"));
}

// The room for one descriptor is room for two, as control messages are aligned.
TEST_F(ClientTest, KeepsNoDescriptorThatBelongsToNothing) {
  int ends[2];
  ASSERT_EQ(0, ::pipe2(ends, O_CLOEXEC));
  const OwnedFd hears(ends[0]);
  OwnedFd spare(ends[1]);
  daemon_.spare_descriptor = spare.get();
  EXPECT_EQ("", Open()) << "the first one is the link";
  spare.Reset();
  // Nobody has the other end of the pipe any more.
  pollfd heard{hears.get(), 0, 0};
  EXPECT_EQ(1, ::poll(&heard, 1, kLimitUs / 1000));
  EXPECT_EQ(POLLHUP, heard.revents);
}

TEST_F(ClientTest, OpeningHasAnEnd) {
  ASSERT_EQ("", Connect());
  EXPECT_THAT(Say(mlos_model_open(client_, "m", nullptr, 20'000, &model_, error())),
              HasSubstr("DEADLINE_EXCEEDED"));  // no consumer ever comes
}

// --------------------------------------------------------------------- requests

TEST_F(ClientTest, RunsAgainAndAgainWhereItLies) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  void* const data = input_.data;
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(data) % 64);
  for (int i = 0; i < 5; ++i) {
    const auto value = static_cast<float>(i);
    Fill(value);
    ASSERT_EQ("", Run(call));
    EXPECT_THAT(Output(call), ElementsAre(value + 1, value + 1));
  }
  EXPECT_EQ(data, input_.data);
}

TEST_F(ClientTest, WhatTheModelDoesNotTakeIsRefused) {
  daemon_.optional_second = true;
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  EXPECT_THAT(Prepare(&call, {3}), HasSubstr("input \"x\" has the shape [2], not [3]"));
  EXPECT_THAT(Prepare(&call, {2, 2}), HasSubstr("has the shape [2], not [2,2]"));
  ASSERT_EQ("", Prepare(&call)) << "the other one may be left out";
  mlos_tensor twice[2] = {input_, input_};
  mlos_request request{};
  request.struct_size = sizeof(request);
  request.input_count = 2;
  request.inputs = twice;
  EXPECT_THAT(Say(mlos_call_prepare(call, &request, kLimitUs, error())),
              HasSubstr("\"x\" is given twice"));
  twice[1].index = 7;
  EXPECT_THAT(Say(mlos_call_prepare(call, &request, kLimitUs, error())),
              HasSubstr("there is no input 7"));
  twice[1].index = 1;
  twice[1].rank = MLOS_MAX_RANK + 1;
  EXPECT_THAT(Say(mlos_call_prepare(call, &request, kLimitUs, error())),
              HasSubstr("at most 16 dimensions"));
  twice[1].rank = 1;
  EXPECT_EQ("", Say(mlos_call_prepare(call, &request, kLimitUs, error())));
  const uint32_t wanted[] = {5};
  request.outputs = wanted;
  request.output_count = 1;
  EXPECT_THAT(Say(mlos_call_prepare(call, &request, kLimitUs, error())),
              HasSubstr("there is no output 5"));
  ASSERT_EQ("", Run(call)) << "what was prepared before is as it was";
}

TEST_F(ClientTest, TheModelsErrorIsTheCalls) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  EXPECT_EQ("NOT_FOUND: no such word",
            Run(call, {.code = StatusCode::kNotFound, .text = "no such word"}));
  EXPECT_THAT(Output(call), ElementsAre()) << "a call that failed has no outputs";
  EXPECT_EQ("", Run(call));
}

TEST_F(ClientTest, AHostIsNotBelieved) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  using Desc = tensor::TensorDesc;
  const std::vector<FakeDaemon::Answer> lies = {
      {.garbage = true},
      {.spoil = [](Desc& d) { d.segment += 1000; }},
      {.spoil = [](Desc& d) { d.offset = uint64_t{1} << 40; }},
      {.spoil = [](Desc& d) { d.index = 3; }},
      {.spoil = [](Desc& d) { d.dims[0] = 1, d.bytes = 4; }},
      {.spoil = [](Desc& d) { d.datatype = static_cast<uint32_t>(tensor::Datatype::kInt32); }},
  };
  for (const FakeDaemon::Answer& lie : lies) {
    EXPECT_THAT(Run(call, lie), HasSubstr("INTERNAL: the plugin host of model \"m\" gave"));
    EXPECT_EQ("", Run(call));
  }
}

TEST_F(ClientTest, WhatNobodyClaimedInTimeIsTakenBack) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  EXPECT_THAT(Say(mlos_call_run(call, 10'000, error())), HasSubstr("DEADLINE_EXCEEDED"));
  EXPECT_TRUE(mlos_call_idle(call));
  EXPECT_EQ("", Run(call));
}

TEST_F(ClientTest, WhatIsStillReadIsWaitedFor) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  ASSERT_EQ("", Submit(call, 10'000));
  const auto late = daemon_.Claim();
  ASSERT_TRUE(late);
  EXPECT_THAT(Wait(call), HasSubstr("DEADLINE_EXCEEDED"));
  EXPECT_FALSE(mlos_call_idle(call));
  EXPECT_THAT(Submit(call, 10'000), HasSubstr("DEADLINE_EXCEEDED"));
  EXPECT_THAT(Prepare(&call), HasSubstr("FAILED_PRECONDITION: the call is under way"));
  ASSERT_TRUE(daemon_.Reply(*late));
  EXPECT_EQ("", Run(call));
  // The same where it was cancelled.
  ASSERT_EQ("", Submit(call));
  const auto left = daemon_.Claim();
  ASSERT_TRUE(left);
  mlos_call_cancel(call);
  EXPECT_THAT(Wait(call), HasSubstr("CANCELLED"));
  EXPECT_THAT(Wait(call), HasSubstr("FAILED_PRECONDITION")) << "it has been said";
  EXPECT_TRUE(daemon_.consumer().IsCancelled(left->entry));
  ASSERT_TRUE(daemon_.Reply(*left));
  EXPECT_EQ("", Run(call));
}

TEST_F(ClientTest, AnyOfSeveral) {
  ASSERT_EQ("", Open());
  mlos_call* calls[3] = {};
  for (mlos_call*& call : calls) ASSERT_EQ("", Prepare(&call));
  mlos_call* ripe = nullptr;
  EXPECT_THAT(Say(mlos_model_wait_any(model_, kLimitUs, &ripe, error())),
              HasSubstr("FAILED_PRECONDITION"));
  std::vector<channel::Claim> claims;
  for (mlos_call* call : calls) {
    ASSERT_EQ("", Submit(call));
    claims.push_back(daemon_.Claim().value());
  }
  EXPECT_THAT(Say(mlos_model_wait_any(model_, 1'000, &ripe, error())),
              HasSubstr("DEADLINE_EXCEEDED"));
  for (const int i : {1, 2, 0}) {
    ASSERT_TRUE(daemon_.Reply(claims[i]));
    ASSERT_EQ(MLOS_OK, mlos_model_wait_any(model_, kLimitUs, &ripe, error()));
    EXPECT_EQ(calls[i], ripe);
    EXPECT_EQ("", Wait(ripe));
  }
}

// Who submits again what was answered must not hide the others from itself.
TEST_F(ClientTest, AnyOfSeveralTakesTurns) {
  ASSERT_EQ("", Open());
  std::vector<mlos_call*> calls(4);
  for (mlos_call*& call : calls) ASSERT_EQ("", Prepare(&call));
  const auto submit = [&](mlos_call* call) {
    EXPECT_EQ("", Submit(call));
    const auto claim = daemon_.Claim();
    EXPECT_TRUE(claim && daemon_.Reply(*claim));
  };
  for (mlos_call* call : calls) submit(call);
  std::vector<mlos_call*> heard;
  for (size_t i = 0; i < calls.size(); ++i) {
    mlos_call* ripe = nullptr;
    ASSERT_EQ(MLOS_OK, mlos_model_wait_any(model_, kLimitUs, &ripe, error()));
    ASSERT_EQ("", Wait(ripe));
    heard.push_back(ripe);
    submit(ripe);
  }
  EXPECT_THAT(heard, testing::UnorderedElementsAreArray(calls));
}

TEST_F(ClientTest, TheEntryOfADestroyedCallComesBack) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  ASSERT_EQ("", Submit(call));
  const auto claim = daemon_.Claim();
  ASSERT_TRUE(claim);
  mlos_call_destroy(call);
  std::vector<mlos_call*> others(64);
  for (size_t i = 0; i < 63; ++i) ASSERT_EQ("", Prepare(&others[i])) << i;
  EXPECT_THAT(Prepare(&others[63]), HasSubstr("RESOURCE_EXHAUSTED"));
  ASSERT_TRUE(daemon_.Reply(*claim));
  EXPECT_EQ("", Run(others[0])) << "collects what nobody waits for";
  EXPECT_EQ("", Prepare(&others[63]));
}

// ------------------------------------------------------------------ changes below

TEST_F(ClientTest, ASuccessorAnswers) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  ASSERT_EQ("", Submit(call));
  ASSERT_TRUE(daemon_.Claim());
  daemon_.LoseConsumer();
  std::future<std::string> waiting = Waiting(call);
  ASSERT_TRUE(daemon_.BeginEpoch({.how = channel::Death::kOfItsOwn}));
  const auto again = daemon_.Claim();
  ASSERT_TRUE(again);
  EXPECT_EQ(2u, again->attempts);
  ASSERT_TRUE(daemon_.Reply(*again));
  EXPECT_EQ("", waiting.get());
  EXPECT_THAT(Output(call), ElementsAre(2, 2));
}

TEST_F(ClientTest, WhatKilledTwoHostsIsGivenUp) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  ASSERT_EQ("", Submit(call));
  std::future<std::string> waiting = Waiting(call);
  for (int death = 0; death < 3; ++death) {
    const auto claim = daemon_.Claim();
    ASSERT_TRUE(claim) << death;
    daemon_.consumer().Begun(claim->entry, NowNanos());
    daemon_.LoseConsumer();
    ASSERT_TRUE(daemon_.BeginEpoch({.how = channel::Death::kOfItsOwn}));
  }
  EXPECT_THAT(waiting.get(), HasSubstr("died twice while it ran this request"));
  EXPECT_EQ("", Run(call));
}

TEST_F(ClientTest, FollowsTheModelWhereItGoes) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  void* const data = input_.data;
  ASSERT_EQ("", Submit(call));  // and nobody claims it
  daemon_.refusals = 2;
  std::future<std::string> waiting = Waiting(call);
  daemon_.EndLink(Unavailable("the model has moved"), true);
  ASSERT_TRUE(daemon_.WaitOpened(2));
  ASSERT_TRUE(daemon_.BeginEpoch());
  const auto claim = daemon_.Claim();
  ASSERT_TRUE(claim && daemon_.Reply(*claim));
  EXPECT_EQ("", waiting.get());
  EXPECT_EQ(data, input_.data);
  EXPECT_EQ("", Run(call));
}

// It was in no call when the host died and the model then moved.
TEST_F(ClientTest, WhatWasSaidBeforeTheLinkEndedCounts) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  daemon_.LoseConsumer();
  hostlink::Frame begin = hostlink::EncodeBeginEpoch({});
  begin.id = 77;
  ASSERT_TRUE(daemon_.Send(std::move(begin)));
  daemon_.EndLink(Unavailable("the model has moved"), true);
  ASSERT_EQ("", Submit(call));
  std::future<std::string> waiting = Waiting(call);
  ASSERT_TRUE(daemon_.WaitOpened(2));
  ASSERT_TRUE(daemon_.BeginEpoch());
  const auto claim = daemon_.Claim();
  ASSERT_TRUE(claim && daemon_.Reply(*claim));
  EXPECT_EQ("", waiting.get());
}

TEST_F(ClientTest, AnEndWithoutAWayBackIsSaid) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  ASSERT_EQ("", Submit(call));
  daemon_.EndLink(Unavailable("its plugin fails"), false);
  EXPECT_EQ("UNAVAILABLE: its plugin fails", Wait(call));
  // The next one is a reason to ask again.
  ASSERT_EQ("", Submit(call));
  std::future<std::string> waiting = Waiting(call);
  ASSERT_TRUE(daemon_.WaitOpened(2));
  ASSERT_TRUE(daemon_.BeginEpoch());
  const auto claim = daemon_.Claim();
  ASSERT_TRUE(claim && daemon_.Reply(*claim));
  EXPECT_EQ("", waiting.get());
}

TEST_F(ClientTest, AModelThatBecameAnotherIsSaidToBe) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  daemon_.inputs_size = 5;
  daemon_.EndLink(Unavailable("the model has moved"), true);
  EXPECT_THAT(Say(mlos_call_run(call, kLimitUs, error())),
              HasSubstr("FAILED_PRECONDITION: model \"m\" is another by now"));
}

TEST_F(ClientTest, GivesMemoryWhileItWaits) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  ASSERT_EQ("", Submit(call));
  std::future<std::string> waiting = Waiting(call);
  const auto claim = daemon_.Claim();
  ASSERT_TRUE(claim);
  hostlink::Frame more = hostlink::EncodeMoreMemory(8 << 20);
  more.id = 99;
  ASSERT_TRUE(daemon_.Send(std::move(more)));
  auto segment = daemon_.Receive(hostlink::kSegment);
  ASSERT_TRUE(segment);
  EXPECT_EQ(99u, segment->id);
  EXPECT_GE(hostlink::DecodeSegment(*std::move(segment))->bytes, uint64_t{8} << 20);
  ASSERT_TRUE(daemon_.Reply(*claim));
  EXPECT_EQ("", waiting.get());
}

// The answer that needs the memory must not wait for the others to end.
TEST_F(ClientTest, GivesMemoryWhileOthersAreAnsweredAllTheTime) {
  ASSERT_EQ("", Open());
  mlos_call* large = nullptr;
  mlos_call* busy = nullptr;
  ASSERT_EQ("", Prepare(&large));
  ASSERT_EQ("", Prepare(&busy));
  ASSERT_EQ("", Submit(large));
  const auto claim = daemon_.Claim();
  ASSERT_TRUE(claim);
  ASSERT_TRUE(daemon_.Send(hostlink::EncodeMoreMemory(8 << 20)));
  std::future<bool> given = std::async(
      std::launch::async, [this] { return daemon_.Receive(hostlink::kSegment).has_value(); });
  while (given.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    ASSERT_EQ("", Run(busy));
  }
  EXPECT_TRUE(given.get());
  ASSERT_TRUE(daemon_.Reply(*claim));
  EXPECT_EQ("", Wait(large));
}

TEST_F(ClientTest, AsksForMemoryOfItsOwn) {
  daemon_.inputs_size = -1;
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  std::future<std::string> preparing =
      std::async(std::launch::async, [&] { return Prepare(&call, {1'000'000}); });
  auto made = daemon_.Receive(hostlink::kSegment);
  ASSERT_TRUE(made);
  EXPECT_EQ(0u, made->id);
  auto segment = hostlink::DecodeSegment(*std::move(made));
  ASSERT_TRUE(segment.ok());
  const uint32_t id = segment->id;
  ASSERT_TRUE(daemon_.consumer().AddRequestSegment(*std::move(segment)).ok());
  ASSERT_TRUE(daemon_.Send(hostlink::EncodeHasSegment(id)));
  ASSERT_EQ("", preparing.get());
}

TEST_F(ClientTest, NonsenseOnTheLinkEndsIt) {
  ASSERT_EQ("", Open());
  mlos_call* call = nullptr;
  ASSERT_EQ("", Prepare(&call));
  ASSERT_EQ("", Submit(call));
  hostlink::Frame frame;
  frame.type = 4711;
  ASSERT_TRUE(daemon_.Send(std::move(frame)));
  EXPECT_THAT(Wait(call), HasSubstr("INTERNAL: the daemon sent a message about a channel"));
}

TEST_F(ClientTest, NamesOfNumbersThatAreNone) {
  EXPECT_STREQ("UNKNOWN", mlos_code_name(99));
  EXPECT_STREQ("UNKNOWN", mlos_code_name(-1));
  EXPECT_STREQ("UNAVAILABLE", mlos_code_name(MLOS_UNAVAILABLE));
  EXPECT_STREQ("INVALID", mlos_datatype_name(3));
  EXPECT_STREQ("BF16", mlos_datatype_name(MLOS_BF16));
}

}  // namespace
}  // namespace mlos::client
