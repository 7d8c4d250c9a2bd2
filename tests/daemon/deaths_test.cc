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
    const Reply reply = daemon.InferJson(std::string("m-") + plugin, kOnX);
    EXPECT_EQ(503, reply.status) << Show(reply);
    EXPECT_THAT(ErrorText(reply), testing::HasSubstr("3"));  // how many hosts it has cost
    EXPECT_GE(daemon.HostOf(plugin).restarts, 2);
    EXPECT_STATUS(200, daemon.InferJson("affine", kOnX));
  }
  EXPECT_EQ(0, daemon.HostOf("template").restarts);
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
    EXPECT_STATUS(503, daemon.InferJson("m-crash_in_execute", kOnX));
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
  Daemon daemon;
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
