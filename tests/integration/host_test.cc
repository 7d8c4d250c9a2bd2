// SPDX-License-Identifier: Apache-2.0
//
// Real plugin hosts under the engine: the way of a request, what bad plugins
// do, and what happens when a host dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <fstream>
#include <random>

#include "../plugins/napping.h"
#include "backend/plugin_host.h"
#include "base/clock.h"
#include "test_core.h"

namespace mlos::test {
namespace {

using tensor::Datatype;
using testing::HasSubstr;

Input Floats(const std::vector<float>& values) { return MakeInput(Datatype::kFp32, values); }
Input Millis(int64_t value) { return MakeInput(Datatype::kInt64, std::vector<int64_t>{value}); }

std::string Text(const Answer& answer) { return std::string(Message(answer.status)); }

TEST(HostTest, AModelAnswers) {
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  const Input in = Floats({1, 2, 3});
  for (int i = 0; i < 100; ++i) {
    const Answer answer = core.Infer("m-echo", {in});
    ASSERT_TRUE(answer.status.ok()) << answer.status;
    ASSERT_EQ(1u, answer.data.size());
    EXPECT_EQ(in.bytes, answer.data[0]);
  }
}

// A plugin that uses select() must not run out of numbers because models have many files.
TEST(HostTest, FilesOfModelsTakeNoNumberThatSelectCouldUse) {
  rlimit before{};
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
  ASSERT_GT(before.rlim_max, static_cast<rlim_t>(FD_SETSIZE));
  const rlimit most{before.rlim_max, before.rlim_max};
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &most));
  {
    TestCore core;
    ASSERT_TRUE(core.Bring("echo").ok());
    const auto model = std::filesystem::canonical(MLOS_TEST_MODEL);
    const std::string fds = "/proc/" + std::to_string(core.HostPid("echo")) + "/fd";
    std::vector<int> of_model;
    for (const auto& fd : std::filesystem::directory_iterator(fds)) {
      std::error_code gone;
      if (std::filesystem::read_symlink(fd, gone) != model) continue;
      of_model.push_back(std::stoi(fd.path().filename()));
    }
    EXPECT_THAT(of_model, testing::ElementsAre(testing::Ge(FD_SETSIZE)));
  }
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &before));
}

TEST(HostTest, AModelOnDemandIsLoadedOnceByItsFirstRequests) {
  TestCore core;
  ASSERT_TRUE(core.RegisterPlugin("echo").ok());
  ASSERT_TRUE(core.LoadPlugin("echo").ok());
  ASSERT_TRUE(core.RegisterModel("m", "echo").ok());
  EXPECT_EQ("registered", core.ModelState("m"));
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 20; ++i) answers.push_back(core.Start("m", {Floats({1})}));
  for (auto& answer : answers) EXPECT_TRUE(answer.get().status.ok());
  EXPECT_EQ("ready", core.ModelState("m"));
  ASSERT_TRUE(core.UnloadModel("m").ok());
  const Answer refused = core.Infer("m", {Floats({1})});
  EXPECT_EQ(StatusCode::kUnavailable, refused.status.code());
  EXPECT_THAT(Text(refused), HasSubstr("unloaded"));
  ASSERT_TRUE(core.LoadModel("m").ok());
  EXPECT_TRUE(core.Infer("m", {Floats({1})}).status.ok());
}

TEST(HostTest, UnknownModelsAndVersionsAreNotFound) {
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  EXPECT_EQ(StatusCode::kNotFound, core.Infer("nobody", {}).status.code());
}

TEST(HostTest, ABadRequestSaysWhatIsWrong) {
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  const Answer missing = core.Infer("m-echo", {});
  EXPECT_EQ(StatusCode::kInvalidArgument, missing.status.code());
  EXPECT_THAT(Text(missing), HasSubstr("\"X\" is missing"));
  const Answer datatype = core.Infer("m-echo", {Millis(1)});
  EXPECT_EQ(StatusCode::kInvalidArgument, datatype.status.code());
  EXPECT_THAT(Text(datatype), HasSubstr("FP32"));
  Input rank = Floats({1, 2});
  rank.shape = {1, 2};
  const Answer shape = core.Infer("m-echo", {rank});
  EXPECT_EQ(StatusCode::kInvalidArgument, shape.status.code());
  EXPECT_THAT(Text(shape), HasSubstr("[1,2]"));
  EXPECT_EQ(StatusCode::kInvalidArgument,
            core.Infer("m-echo", {Floats({1})}, 20'000, {7}).status.code());
  EXPECT_TRUE(core.Infer("m-echo", {Floats({1})}).status.ok());
}

TEST(HostTest, BytesAreCheckedBeforeThePluginSeesThem) {
  TestCore core;
  ASSERT_TRUE(core.Bring("echo", R"({"parameters":{"datatype":"BYTES"}})").ok());
  Input good{0, Datatype::kBytes, {2}, std::string("\1\0\0\0a\0\0\0\0", 9)};
  const Answer answer = core.Infer("m-echo", {good});
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(good.bytes, answer.data[0]);
  Input cut = good;
  cut.bytes = std::string("\xff\0\0\0a\0\0\0\0", 9);
  EXPECT_EQ(StatusCode::kInvalidArgument, core.Infer("m-echo", {cut}).status.code());
}

TEST(HostTest, TensorsLargerThanTheFirstSegmentsGetSegmentsOfTheirOwn) {
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  for (const size_t count : {size_t{10}, size_t{200'000}, size_t{5'000'000}, size_t{3}}) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
    const Input in = Floats(values);
    const Answer answer = core.Infer("m-echo", {in});
    ASSERT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_TRUE(in.bytes == answer.data[0]);
  }
}

TEST(HostTest, ManyRequestsAtOnceAreAllAnsweredWithTheirOwnResult) {
  TestCore core(4);
  ASSERT_TRUE(core.Bring("echo").ok());
  std::vector<std::pair<Input, std::future<Answer>>> calls;
  for (int i = 0; i < 500; ++i) {
    const Input in = Floats({static_cast<float>(i), static_cast<float>(i * 2)});
    calls.emplace_back(in, core.Start("m-echo", {in}));
  }
  for (auto& [in, future] : calls) {
    const Answer answer = future.get();
    ASSERT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_EQ(in.bytes, answer.data[0]);
  }
}

TEST(HostTest, MoreThanAModelMayHoldIsRefusedAtOnce) {
  channel::Options small;
  small.entries = 64;
  TestCore core(1, small);
  ASSERT_TRUE(core.Bring("slow").ok());
  std::vector<std::future<Answer>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(core.Start("m-slow", {Millis(i == 0 ? 300 : 0)}));
  // Who has a large request is told so before it is read.
  const auto admits = [&](const char* model) {
    return core.OnFront([&] { return core.engine().Admits(model, ""); });
  };
  EXPECT_EQ(StatusCode::kUnavailable, admits("m-slow").code());
  EXPECT_TRUE(admits("nobody").ok());
  int refused = 0;
  for (auto& call : calls) {
    const Answer answer = call.get();
    if (answer.status.code() == StatusCode::kUnavailable) ++refused;
  }
  EXPECT_EQ(100 - 48, refused);  // three quarters of 64 entries
  EXPECT_TRUE(admits("m-slow").ok());
}

TEST(HostTest, ALongRunOfAUsuallyShortModelDoesNotStallTheHost) {
  TestCore core(2);
  ASSERT_TRUE(core.Bring("slow").ok());
  ASSERT_TRUE(core.Bring("echo").ok());
  ASSERT_TRUE(core.RegisterModel("other", "slow").ok());
  ASSERT_TRUE(core.LoadModel("other").ok());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(core.Infer("m-slow", {Millis(0)}).status.ok());
  auto surprise = core.Start("m-slow", {Millis(4'000)});
  const uint64_t start = NowNanos();
  EXPECT_TRUE(core.Infer("other", {Millis(0)}).status.ok());
  EXPECT_LT(NowNanos() - start, 3 * kNanosPerSecond);
  surprise.wait();
}

TEST(HostTest, TheDeadlineHoldsForWaitingAndForRunningRequests) {
  TestCore core(1);
  ASSERT_TRUE(core.Bring("slow").ok());
  ASSERT_TRUE(core.Infer("m-slow", {Millis(1)}).status.ok());
  const uint64_t start = NowNanos();
  auto running = core.Start("m-slow", {Millis(10'000)}, 200);
  auto waiting = core.Start("m-slow", {Millis(0)}, 300);
  const Answer first = running.get();
  EXPECT_TRUE(first.status.code() == StatusCode::kDeadlineExceeded ||
              first.status.code() == StatusCode::kCancelled)
      << first.status;
  waiting.get();
  EXPECT_LT(NowNanos() - start, 5 * kNanosPerSecond);
  EXPECT_TRUE(core.Infer("m-slow", {Millis(1)}).status.ok());
}

// ----------------------------------------------------------------- bad plugins

class LyingPlugin : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(LyingPlugin, IsRefusedWithAReasonAndHurtsNobody) {
  const auto [name, reason] = GetParam();
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  ASSERT_TRUE(core.RegisterPlugin(name).ok());
  const Status status = core.LoadPlugin(name);
  EXPECT_EQ(StatusCode::kUnavailable, status.code());
  EXPECT_THAT(std::string(Message(status)), HasSubstr(reason));
  EXPECT_EQ(-1, core.HostPid(name));
  EXPECT_TRUE(core.Infer("m-echo", {Floats({1})}).status.ok());
  EXPECT_EQ(0u, core.Restarts("echo"));
}

INSTANTIATE_TEST_SUITE_P(All, LyingPlugin,
                         testing::Values(std::pair("liar_name", "plugin.yaml"),
                                         std::pair("liar_abi", "major version 99"),
                                         std::pair("no_symbol", "smi_plugin_entry_v1"),
                                         std::pair("null_function", "lacks a required function"),
                                         std::pair("small_struct", "function table has"),
                                         std::pair("abort_in_create", "signal 6")),
                         [](const auto& param) { return std::string(param.param.first); });

TEST(HostTest, ACrashInLoadFailsTheModelAndTheHostComesBack) {
  TestCore core;
  ASSERT_TRUE(core.RegisterPlugin("crash_in_load").ok());
  ASSERT_TRUE(core.LoadPlugin("crash_in_load").ok());
  ASSERT_TRUE(core.RegisterModel("m", "crash_in_load").ok());
  const Status status = core.LoadModel("m");
  EXPECT_EQ(StatusCode::kUnavailable, status.code());
  EXPECT_THAT(std::string(Message(status)), HasSubstr("signal 11"));
  EXPECT_EQ("failed", core.ModelState("m"));
  EXPECT_TRUE(WaitUntil([&] { return core.HostPid("crash_in_load") > 0; }));
}

TEST(HostTest, ARequestThatKillsItsHostEndsWithAnErrorAndOthersAreServed) {
  TestCore core;
  ASSERT_TRUE(core.Bring("crash_in_execute").ok());
  ASSERT_TRUE(core.Bring("echo").ok());
  auto poison = core.Start("m-crash_in_execute", {Floats({1})});
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(core.Infer("m-echo", {Floats({1})}).status.ok());
  const Answer answer = poison.get();
  EXPECT_EQ(StatusCode::kInternal, answer.status.code());
  EXPECT_THAT(Text(answer), HasSubstr("died"));
  EXPECT_EQ(0u, core.Restarts("echo"));
}

TEST(HostTest, PluginsThatBreakTheRulesOfAnsweringGetAnError) {
  TestCore core;
  ASSERT_TRUE(core.Bring("never_answers").ok());
  const Answer never = core.Infer("m-never_answers", {Floats({1})});
  EXPECT_EQ(StatusCode::kInternal, never.status.code());
  EXPECT_THAT(Text(never), HasSubstr("without answering"));
  ASSERT_TRUE(core.Bring("wrong_output").ok());
  EXPECT_FALSE(core.Infer("m-wrong_output", {Floats({1})}).status.ok());
  ASSERT_TRUE(core.Bring("throws").ok());
  const Answer thrown = core.Infer("m-throws", {Floats({1})});
  EXPECT_EQ(StatusCode::kInternal, thrown.status.code());
  EXPECT_THAT(Text(thrown), HasSubstr("exception"));
  ASSERT_TRUE(core.Bring("double_answer").ok());
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(core.Infer("m-double_answer", {Floats({1})}).status.ok());
  }
  ASSERT_TRUE(core.Bring("chatty").ok());
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(core.Infer("m-chatty", {Floats({1})}).status.ok());
  for (const char* name : {"never_answers", "wrong_output", "throws", "double_answer", "chatty"}) {
    EXPECT_EQ(0u, core.Restarts(name)) << name;
  }
}

TEST(HostTest, OutputsOfAnySizeCome) {
  TestCore core;
  ASSERT_TRUE(core.Bring("big_output").ok());
  for (const int64_t count : {0, 1, 1000, 1'000'000, 20'000'000, 5}) {
    const Answer answer = core.Infer("m-big_output", {Millis(count)});
    ASSERT_TRUE(answer.status.ok()) << answer.status;
    ASSERT_EQ(static_cast<size_t>(count) * 4, answer.data[0].size());
    if (count > 0) {
      float last = 0;
      std::memcpy(&last, answer.data[0].data() + (count - 1) * 4, 4);
      EXPECT_EQ(static_cast<float>(count - 1), last);
    }
  }
}

// ------------------------------------------------------------ a host that dies

TEST(ReplayTest, AHostKilledInMidRunStillAnswersOnce) {
  TestCore core;
  ASSERT_TRUE(core.Bring("slow").ok());
  const pid_t pid = core.HostPid("slow");
  auto running = core.Start("m-slow", {Millis(500)});
  auto waiting = core.Start("m-slow", {Millis(1)});
  ASSERT_TRUE(WaitUntil([&] { return core.OnFront([&] { return core.engine().Expecting(); }); }));
  ASSERT_TRUE(KillOne(pid));
  const Answer first = running.get();
  ASSERT_TRUE(first.status.ok()) << first.status;
  int64_t value = 0;
  std::memcpy(&value, first.data[0].data(), 8);
  EXPECT_EQ(500, value);
  EXPECT_TRUE(waiting.get().status.ok());
  EXPECT_EQ(1u, core.Restarts("slow"));
  EXPECT_NE(pid, core.HostPid("slow"));
}

TEST(ReplayTest, NothingIsLostWhenAServingHostIsKilledAgainAndAgain) {
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  std::mt19937 random(7);
  uint32_t kills = 0;
  float next = 0;
  for (int round = 0; round < 4; ++round) {
    std::vector<std::pair<Input, std::future<Answer>>> calls;
    for (int i = 0; i < 300; ++i) {
      const Input in = Floats({next++});
      calls.emplace_back(in, core.Start("m-echo", {in}));
      if (i == static_cast<int>(random() % 300) || i == 150) {
        if (KillOne(core.HostPid("echo"))) ++kills;
      }
    }
    for (auto& [in, future] : calls) {
      const Answer answer = future.get();
      ASSERT_TRUE(answer.status.ok()) << answer.status;
      ASSERT_EQ(in.bytes, answer.data[0]);
    }
  }
  EXPECT_GE(kills, 4u);
}

TEST(ReplayTest, AModelThatMustNotRunTwiceSaysSoInstead) {
  TestCore core;
  ASSERT_TRUE(core.Bring("slow", R"({"parameters":{"replay":"never"}})").ok());
  const pid_t pid = core.HostPid("slow");
  const uint64_t naps = Naps(pid);
  auto running = core.Start("m-slow", {Millis(60'000)});
  ASSERT_TRUE(WaitUntil([&] { return RunsSlow(pid, naps); }));  // claimed, not only submitted
  ASSERT_TRUE(KillOne(pid));
  const Answer answer = running.get();
  EXPECT_EQ(StatusCode::kUnavailable, answer.status.code());
  EXPECT_THAT(Text(answer), HasSubstr("run twice"));
  EXPECT_TRUE(core.Infer("m-slow", {Millis(1)}).status.ok());
}

TEST(ReplayTest, AHangEndsByTheDeadlineAndTheHostIsReplaced) {
  TestCore core(1);
  ASSERT_TRUE(core.Bring("hang_in_execute").ok());
  const pid_t pid = core.HostPid("hang_in_execute");
  const Answer answer = core.Infer("m-hang_in_execute", {Floats({1})}, 200);
  EXPECT_EQ(StatusCode::kDeadlineExceeded, answer.status.code()) << answer.status;
  EXPECT_TRUE(WaitUntil([&] { return core.HostPid("hang_in_execute") != pid; }));
}

TEST(ReplayTest, ExitIsADeathLikeAnyOther) {
  TestCore core;
  ASSERT_TRUE(core.Bring("exit_in_execute").ok());
  const Answer answer = core.Infer("m-exit_in_execute", {Floats({1})});
  EXPECT_EQ(StatusCode::kInternal, answer.status.code());
  EXPECT_GE(core.Restarts("exit_in_execute"), 3u);
}

// Does what `f` does once the plugin's host is on its way back.
template <typename F>
void WhenItRestarts(TestCore& core, const std::string& plugin, F f) {
  // The second death in a row is followed by a pause, which cannot be missed.
  ASSERT_TRUE(KillOne(core.HostPid(plugin)));
  ASSERT_TRUE(WaitUntil([&] { return core.Restarts(plugin) == 1 && core.HostPid(plugin) > 0; }));
  ASSERT_TRUE(KillOne(core.HostPid(plugin)));
  ASSERT_TRUE(WaitUntil([&] {
    return core.OnControl([&] {
      const auto hosts = core.manager().Hosts();
      if (hosts[0].host->restarts() != 2) return false;
      f();
      return true;
    });
  }));
}

TEST(ReplayTest, AModelLoadsOnAHostThatIsOnItsWayBack) {
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  ASSERT_TRUE(core.RegisterModel("m", "echo").ok());
  std::promise<Status> loaded;
  WhenItRestarts(core, "echo", [&] {
    core.manager().LoadModel("m", "1", [&](const Status& s) { loaded.set_value(s); });
  });
  const Status status = loaded.get_future().get();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(core.Infer("m", {Floats({1})}).status.ok());
}

TEST(ReplayTest, AModelUnloadedWhileItsHostRestartsFinishesWhatItHad) {
  TestCore core;
  ASSERT_TRUE(core.Bring("slow").ok());
  auto running = core.Start("m-slow", {Millis(100)});
  auto waiting = core.Start("m-slow", {Millis(1)});
  ASSERT_TRUE(WaitUntil([&] { return core.OnFront([&] { return core.engine().Expecting(); }); }));
  std::promise<Status> unloaded;
  WhenItRestarts(core, "slow", [&] {
    core.manager().UnloadModel("m-slow", "1", [&](const Status& s) { unloaded.set_value(s); });
  });
  EXPECT_TRUE(unloaded.get_future().get().ok());
  const Answer first = running.get();
  EXPECT_TRUE(first.status.ok()) << first.status;
  const Answer second = waiting.get();
  EXPECT_TRUE(second.status.ok()) << second.status;
}

// --------------------------------------------------------------- unload, ready

TEST(HostTest, WhatWasSubmittedBeforeAnUnloadIsAnswered) {
  TestCore core(1);
  ASSERT_TRUE(core.Bring("slow").ok());
  std::vector<std::future<Answer>> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(core.Start("m-slow", {Millis(i == 0 ? 200 : 0)}));
  core.OnFront([] {});  // all are submitted
  EXPECT_TRUE(core.UnloadModel("m-slow").ok());
  for (auto& call : calls) {
    const Answer answer = call.get();
    EXPECT_TRUE(answer.status.ok()) << answer.status;
  }
}

TEST(HostTest, ARequestFilledWhileItsPluginWentIsRefused) {
  class Filling : public engine::Call {
   public:
    void OnProgress() override { ADD_FAILURE() << "nothing was to be waited for"; }
    tensor::RequestPlan plan;
  } call;
  TestCore core;
  ASSERT_TRUE(core.Bring("echo").ok());
  call.deadline_ns = NowNanos() + 20 * kNanosPerSecond;
  ASSERT_TRUE(core.OnFront([&] {
    return core.engine().Resolve(call, "m-echo", "") && call.status.ok() &&
           core.engine().Allocate(call, &call.plan) && call.status.ok();
  }));
  ASSERT_TRUE(core.UnloadModel("m-echo").ok());
  ASSERT_TRUE(core.UnloadPlugin("echo").ok());
  ASSERT_TRUE(WaitUntil([&] { return core.HostPid("echo") < 0; }));
  EXPECT_TRUE(core.OnFront([&] { return core.engine().Submit(call); }));
  EXPECT_EQ(StatusCode::kUnavailable, call.status.code());
  core.OnFront([&] { core.engine().Finish(call); });
}

TEST(HostTest, ReadinessIsAboutTheModelsThatShouldBeLoaded) {
  TestCore core;
  const auto ready = [&] { return core.OnFront([&] { return core.engine().routes()->ready; }); };
  ASSERT_TRUE(core.RegisterPlugin("crash_in_load").ok());
  std::promise<Status> loaded;
  core.OnControl([&] {
    core.manager().LoadPlugin("crash_in_load", "1.0.0",
                              [&](const Status& s) { loaded.set_value(s); });
  });
  // Published while the host starts.
  ASSERT_TRUE(core.RegisterModel("m", "crash_in_load").ok());
  ASSERT_TRUE(loaded.get_future().get().ok());
  EXPECT_TRUE(ready());
  // Nobody but this client wanted it.
  EXPECT_EQ(StatusCode::kUnavailable, core.Infer("m", {Floats({1})}).status.code());
  EXPECT_TRUE(ready());
  // What was refused is not wanted either.
  EXPECT_FALSE(core.LoadModel("m").ok());
  EXPECT_TRUE(ready());
}

TEST(HostTest, WhatShouldBeLoadedAndIsNotMakesTheCoreUnready) {
  TestCore core;
  const auto ready = [&] { return core.OnFront([&] { return core.engine().routes()->ready; }); };
  ASSERT_TRUE(core.Bring("crash_in_execute").ok());
  EXPECT_TRUE(ready());
  // It dies of every request until it is given up.
  float next = 0;  // the same one would be refused
  EXPECT_TRUE(WaitUntil([&] {
    core.Infer("m-crash_in_execute", {Floats({++next})});
    return core.ModelState("m-crash_in_execute") == "failed";
  }));
  EXPECT_TRUE(WaitUntil([&] { return !ready(); }));
  // The plugin loaded anew brings back what should be loaded.
  ASSERT_TRUE(core.LoadPlugin("crash_in_execute").ok());
  EXPECT_TRUE(WaitUntil([&] { return core.ModelState("m-crash_in_execute") == "ready"; }));
  EXPECT_TRUE(WaitUntil(ready));
}

TEST(HostTest, AnotherLoadedVersionTakesOverAtOnceWhenTheActiveOneIsUnloaded) {
  TestCore core;
  ASSERT_TRUE(core.RegisterPlugin("echo").ok());
  const std::string copy = testing::TempDir() + "/echo-2.0.0";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(std::string(MLOS_TEST_PLUGINS) + "/echo/1.0.0", copy);
  std::ofstream(copy + "/plugin.yaml")
      << "name: echo\nversion: 2.0.0\nlibrary: libecho.so\nformats: [test]\n";
  ASSERT_TRUE(core.RegisterPlugin(copy).ok());
  ASSERT_TRUE(core.LoadPlugin("echo").ok());
  ASSERT_TRUE(core.LoadPlugin("echo", "2.0.0").ok());
  ASSERT_TRUE(core.RegisterModel("m", "echo").ok());
  std::promise<Status> unloaded;
  std::promise<Status> loaded;
  core.OnControl([&] {
    core.manager().UnloadPlugin("echo", "1.0.0", [&](const Status& s) { unloaded.set_value(s); });
    core.manager().LoadModel("m", "1", [&](const Status& s) { loaded.set_value(s); });
  });
  EXPECT_TRUE(unloaded.get_future().get().ok());
  const Status status = loaded.get_future().get();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(core.Infer("m", {Floats({1})}).status.ok());
}

// ----------------------------------------------------------- a host on its way

// A port whose grants come when the test says so, as another loop's may.
class HeldPort : public backend::ChannelPort {
 public:
  using Granted = std::function<void(StatusOr<channel::ConsumerGrant>)>;
  HeldPort() : producer(*channel::Producer::Create({})) {}
  void BeginEpoch(const channel::Ending&, Granted done) override {
    held.push_back(std::move(done));
  }
  void AddResponseSegment(uint64_t, std::function<void(StatusOr<channel::SegmentGrant>)>) override {
  }
  void ActivateRequestSegment(uint32_t) override {}
  void Fail(const Status& status) override { failure = status; }
  // Answers the oldest that waits.
  void Grant() {
    const Granted done = std::move(held.front());
    held.pop_front();
    ASSERT_TRUE(producer->BeginEpoch().ok());
    done(producer->Grant());
  }
  std::unique_ptr<channel::Producer> producer;
  std::deque<Granted> held;
  Status failure;
};

class PluginHostTest : public testing::Test {
 protected:
  PluginHostTest() : thread_([this] { loop_.Run(); }) {}
  ~PluginHostTest() override {
    loop_.Stop();
    thread_.join();
  }
  std::shared_ptr<backend::PluginHost> Make() {
    backend::HostSpec spec;
    spec.program = MLOS_TEST_HOST_PROGRAM;
    spec.start.directory = std::string(MLOS_TEST_PLUGINS) + "/echo/1.0.0";
    spec.start.library = "libecho.so";
    spec.start.name = "echo";
    spec.start.version = "1.0.0";
    return std::make_shared<backend::PluginHost>(
        loop_, spec, std::vector<std::shared_ptr<backend::ChannelPort>>{port_},
        backend::PluginHost::Events{[](const Status&) {}, [](uint32_t, const Status&) {}});
  }
  template <typename F>
  auto On(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    loop_.Post([&] { task(); });
    return result.get();
  }
  bool Waits() {
    return WaitUntil([&] { return On([&] { return !port_->held.empty(); }); });
  }

  EventLoop loop_;
  std::shared_ptr<HeldPort> port_ = std::make_shared<HeldPort>();
  std::thread thread_;
};

TEST_F(PluginHostTest, AGrantThatComesAfterItsHostDiedGoesToNobody) {
  const auto host = Make();
  Status started = Internal("not yet");
  On([&] { host->Start([&](const Status& status) { started = status; }); });
  ASSERT_TRUE(Waits());
  On([&] { port_->Grant(); });
  ASSERT_TRUE(WaitUntil([&] { return On([&] { return started.ok(); }); }));
  // Twice: while nothing runs in its place, and while a successor starts.
  for (uint32_t deaths = 1; deaths <= 2; ++deaths) {
    ASSERT_TRUE(On([&] { return KillOne(host->pid()); }));
    ASSERT_TRUE(Waits());
    ASSERT_TRUE(On([&] { return KillOne(host->pid()); }));
    if (deaths == 1) {
      ASSERT_TRUE(WaitUntil([&] { return On([&] { return host->pid() < 0; }); }));
    } else {
      ASSERT_TRUE(WaitUntil([&] { return On([&] { return port_->held.size() == 2; }); }));
    }
    On([&] { port_->Grant(); });  // the dead one's
    ASSERT_TRUE(Waits());
    On([&] { port_->Grant(); });
    ASSERT_TRUE(
        WaitUntil([&] { return On([&] { return host->state() == backend::HostState::kReady; }); }));
  }
  EXPECT_EQ(4u, host->restarts());
  std::promise<void> stopped;
  On([&] { host->Stop([&] { stopped.set_value(); }); });
  EXPECT_EQ(std::future_status::ready, stopped.get_future().wait_for(std::chrono::seconds(20)));
}

TEST_F(PluginHostTest, StopsAtAnyMomentOfItsStart) {
  for (uint64_t i = 0; i < 150; ++i) {
    const auto host = Make();
    std::promise<void> stopped;
    std::atomic<bool> answered = false;
    On([&] { host->Start([&](const Status&) { answered = true; }); });
    ASSERT_TRUE(Waits());
    On([&] { port_->Grant(); });
    // From here on it attaches and serves, within about a millisecond.
    const uint64_t start = NowNanos();
    ASSERT_TRUE(WaitUntil([&] { return NowNanos() - start >= i * 5 * kNanosPerMicro; }));
    On([&] { host->Stop([&] { stopped.set_value(); }); });
    ASSERT_EQ(std::future_status::ready, stopped.get_future().wait_for(std::chrono::seconds(20)))
        << "stopped " << i * 5 << " microseconds after its grant";
    EXPECT_TRUE(answered);
    EXPECT_EQ(0u, host->restarts());
  }
}

TEST_F(PluginHostTest, EverybodyWhoStopsItIsTold) {
  const auto host = Make();
  std::atomic<int> told = 0;
  On([&] { host->Start([](const Status&) {}); });
  ASSERT_TRUE(Waits());
  On([&] {
    host->Stop([&] { ++told; });
    host->Stop([&] { ++told; });
  });
  EXPECT_TRUE(WaitUntil([&] { return told == 2; }));
}

}  // namespace
}  // namespace mlos::test
