// SPDX-License-Identifier: Apache-2.0
//
// Plugin hosts that are killed, or that a request kills, while clients call.
#include <csignal>
#include <filesystem>

#include "../plugins/napping.h"
#include "fixture.h"
#include "traffic.h"

namespace mlos::test {
namespace {

constexpr const char* kOnX =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})";

std::string OnX(int value) {
  return R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[)" +
         std::to_string(value) + "]}]}";
}

std::string Millis(int64_t take) {
  return R"({"inputs":[{"name":"X","datatype":"INT64","shape":[1],"data":[)" +
         std::to_string(take) + "]}]}";
}

TEST(KilledHostTest, NoRequestFailsUnderLoad) {
  const Digits digits = HeldOutDigits();
  Daemon daemon;
  daemon.BringDigits();
  const BinaryAnswer all = daemon.InferBinary(
      "digits", {{"image", "FP32", {static_cast<int64_t>(digits.count()), 64}, digits.pixels}});
  ASSERT_EQ("", all.error);
  const auto labels = ValuesOf<int64_t>(all.outputs.at("label").bytes);
  Daemon::Host host = daemon.HostOf("onnxruntime");
  EXPECT_EQ(0, host.restarts);

  Traffic traffic(daemon.address(), digits, labels, 8);
  for (int64_t kills = 1; kills <= 4; ++kills) {
    const size_t before = traffic.answers();
    ASSERT_TRUE(WaitUntil([&] { return traffic.answers() > before + 200; }));
    ASSERT_TRUE(SignalOne(host.pid, SIGKILL));
    const pid_t dead = host.pid;
    ASSERT_TRUE(WaitUntil([&] {
      host = daemon.HostOf("onnxruntime");
      return host.state == "ready" && host.pid != dead;
    })) << daemon.process().log();
    EXPECT_EQ(kills, host.restarts);
  }
  const size_t before = traffic.answers();
  EXPECT_TRUE(WaitUntil([&] { return traffic.answers() > before + 200; }));
  traffic.Stop();
  EXPECT_THAT(traffic.failures(), testing::IsEmpty());
  EXPECT_EQ("ready", At(daemon.Get("/api/v1/models/digits/versions/1"), "/state"));
  EXPECT_STATUS(200, daemon.Get("/v2/health/ready"));
}

TEST(KilledHostTest, ARequestThatRunsIsRunAgain) {
  Daemon daemon;
  daemon.BringTestModel("slow");
  const pid_t pid = daemon.HostOf("slow").pid;
  const uint64_t naps = Naps(pid);
  HttpClient client(daemon.address());
  ASSERT_TRUE(client.Write("POST", "/v2/models/m-slow/infer", Millis(2000)));
  ASSERT_TRUE(WaitUntil([&] { return RunsSlow(pid, naps); }));
  ASSERT_TRUE(SignalOne(pid, SIGKILL));
  const Reply reply = client.Read();
  EXPECT_EQ(std::vector<double>{2000}, Numbers(reply, "/outputs/0/data")) << Show(reply);
  EXPECT_EQ(1, daemon.HostOf("slow").restarts);
}

// A death from outside puts nobody under suspicion: what ran runs again beside the rest.
TEST(KilledHostTest, WhatIsRunAgainHoldsUpNobody) {
  Daemon daemon;
  daemon.BringTestModel("poison");
  HttpClient client(daemon.address());
  ASSERT_TRUE(client.Write("POST", "/v2/models/m-poison/infer", Millis(600'000)));
  ASSERT_TRUE(WaitUntil([&] { return daemon.InFlight("m-poison") == 1; }));
  ASSERT_TRUE(SignalOne(daemon.HostOf("poison").pid, SIGKILL));
  ASSERT_TRUE(WaitUntil([&] { return daemon.HostOf("poison").restarts == 1; }));
  for (int i = 0; i < 20; ++i) {
    EXPECT_STATUS(200, daemon.InferJson("m-poison", Millis(0)));
  }
  EXPECT_EQ(1, daemon.InFlight("m-poison"));
}

TEST(KilledHostTest, AModelThatIsLoadedMeanwhileIsLoadedByTheSuccessor) {
  Daemon daemon;
  daemon.BringPlugin(OnnxPlugin());
  for (int round = 0; round < 3; ++round) {
    const std::string name = "m" + std::to_string(round);
    ASSERT_EQ(201, daemon.RegisterModel(name, TestData("identity_fp32.onnx")).status);
    const pid_t pid = daemon.HostOf("onnxruntime").pid;
    ASSERT_TRUE(SignalOne(pid, SIGKILL));
    // Until the daemon knows of the death a load fails with it, and that is right.
    ASSERT_TRUE(WaitUntil([&] { return daemon.HostOf("onnxruntime").pid != pid; }));
    const BinaryAnswer answer =
        daemon.InferBinary(name, {{"x", "FP32", {1}, BytesOf(std::vector<float>{7})}});
    EXPECT_EQ("", answer.error);
  }
}

TEST(KilledHostTest, AModelThatMustNotRunTwiceSaysSo) {
  Daemon daemon;
  daemon.BringTestModel("slow", R"(,"config":{"parameters":{"replay":"never"}})");
  const pid_t pid = daemon.HostOf("slow").pid;
  const uint64_t naps = Naps(pid);
  HttpClient client(daemon.address());
  ASSERT_TRUE(client.Write("POST", "/v2/models/m-slow/infer", Millis(60'000)));
  ASSERT_TRUE(WaitUntil([&] { return RunsSlow(pid, naps); }));  // claimed, not only submitted
  ASSERT_TRUE(SignalOne(pid, SIGKILL));
  const Reply reply = client.Read();
  EXPECT_REFUSED(503, "run twice", reply);
  EXPECT_STATUS(200, daemon.InferJson("m-slow", Millis(0)));
}

TEST(PoisonTest, ARequestThatKillsItsHostIsGivenUpAndTheOthersAreServed) {
  Daemon daemon;
  daemon.BringPlugin(TemplatePlugin());
  ASSERT_EQ(201,
            daemon.RegisterModel("affine", SourcePath("plugins/template/model.affine")).status);
  daemon.BringTestModel("crash_in_execute");
  daemon.BringTestModel("exit_in_execute");
  for (const char* plugin : {"crash_in_execute", "exit_in_execute"}) {
    SCOPED_TRACE(plugin);
    const std::string model = std::string("m-") + plugin;
    EXPECT_REFUSED(500, "died of this request", daemon.InferJson(model, kOnX));
    const auto deaths = daemon.HostOf(plugin).restarts;
    EXPECT_GE(deaths, 2);
    // Tried again by its client it costs no host any more; another request does.
    EXPECT_REFUSED(500, "refused for 600 s", daemon.InferJson(model, kOnX));
    EXPECT_EQ(deaths, daemon.HostOf(plugin).restarts);
    EXPECT_REFUSED(500, "died of this request", daemon.InferJson(model, OnX(2)));
    EXPECT_GT(daemon.HostOf(plugin).restarts, deaths);
    EXPECT_STATUS(200, daemon.InferJson("affine", kOnX));
  }
  EXPECT_EQ(0, daemon.HostOf("template").restarts);
}

TEST(PoisonTest, WhatTheSystemKillsItsHostForIsFoundOutToo) {
  Daemon daemon;
  daemon.BringTestModel("poison");
  EXPECT_REFUSED(500, "died of this request", daemon.InferJson("m-poison", Millis(-2)));
  EXPECT_EQ(5, daemon.HostOf("poison").restarts);
  EXPECT_STATUS(200, daemon.InferJson("m-poison", Millis(0)));
}

TEST(PoisonTest, ItIsRefusedForAsLongAsTheOptionSays) {
  Daemon daemon({"--quarantine-time", "3s"});
  daemon.BringTestModel("poison");
  EXPECT_REFUSED(500, "died of this request", daemon.InferJson("m-poison", Millis(-1)));
  EXPECT_REFUSED(500, "refused for 3 s", daemon.InferJson("m-poison", Millis(-1)));
  const auto deaths = daemon.HostOf("poison").restarts;
  EXPECT_TRUE(WaitUntil([&] {  // then it costs hosts again
    daemon.InferJson("m-poison", Millis(-1));
    return daemon.HostOf("poison").restarts > deaths;
  }));
  EXPECT_STATUS(200, daemon.InferJson("m-poison", Millis(0)));
}

TEST(PoisonTest, AmongInnocentsOnlyThePoisonFails) {
  constexpr int kInnocents = 12;
  Daemon daemon;
  daemon.BringTestModel("poison");
  std::vector<HttpClient> clients;
  for (int i = 0; i <= kInnocents; ++i) {
    clients.emplace_back(daemon.address());
    const int take = i == kInnocents / 2 ? -1 : 20 + i;
    ASSERT_TRUE(clients.back().Write("POST", "/v2/models/m-poison/infer", Millis(take)));
  }
  for (int i = 0; i <= kInnocents; ++i) {
    const Reply reply = clients[i].Read();
    if (i == kInnocents / 2) {
      EXPECT_REFUSED(500, "died of this request", reply);
    } else {
      EXPECT_EQ(std::vector<double>{20.0 + i}, Numbers(reply, "/outputs/0/data")) << Show(reply);
    }
  }
  // Once beside others, and twice alone.
  EXPECT_EQ(3, daemon.HostOf("poison").restarts);
}

TEST(PoisonTest, APluginThatDiesOfEverythingIsGivenUp) {
  Daemon daemon;
  daemon.BringPlugin(TemplatePlugin());
  ASSERT_EQ(201,
            daemon.RegisterModel("affine", SourcePath("plugins/template/model.affine")).status);
  daemon.BringTestModel("crash_in_execute");
  const auto state = [&] {
    return At(daemon.Get("/api/v1/plugins/crash_in_execute/versions/1.0.0"), "/state");
  };
  for (int i = 0; i < 6 && state() != "failed"; ++i) {
    EXPECT_THAT(daemon.InferJson("m-crash_in_execute", OnX(i)).status, testing::AnyOf(500, 503));
    EXPECT_STATUS(200, daemon.InferJson("affine", kOnX));
  }
  EXPECT_EQ("failed", state());
  EXPECT_REFUSED(503, "died", daemon.InferJson("m-crash_in_execute", kOnX));
  EXPECT_THAT(At(daemon.Get("/api/v1/models/m-crash_in_execute/versions/1"), "/reason"),
              testing::HasSubstr("died"));
  // Loading it again begins anew.
  EXPECT_STATUS(200, daemon.PluginAction("crash_in_execute", "load"));
  EXPECT_STATUS(200, daemon.ModelAction("m-crash_in_execute", "load"));
  EXPECT_STATUS(200, daemon.InferJson("affine", kOnX));
}

TEST(HangTest, ARequestThatHangsEndsByItsDeadline) {
  Daemon daemon({"--hang-limit", "300ms"});
  daemon.BringTestModel("hang_in_execute");
  const pid_t pid = daemon.HostOf("hang_in_execute").pid;
  const Reply reply = daemon.InferJson(
      "m-hang_in_execute",
      R"({"parameters":{"timeout":200000},"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})");
  EXPECT_EQ(504, reply.status) << Show(reply);
  EXPECT_TRUE(WaitUntil([&] {
    const Daemon::Host host = daemon.HostOf("hang_in_execute");
    return host.pid != pid && host.state == "ready";
  }));
}

}  // namespace
}  // namespace mlos::test
