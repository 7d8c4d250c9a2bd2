// SPDX-License-Identifier: Apache-2.0
//
// A plugin is swapped for another version while clients call.
#include <cstdlib>
#include <filesystem>

#include "fixture.h"
#include "traffic.h"

namespace mlos::test {
namespace {

std::string SwapTo(const std::string& version) { return R"({"to":")" + version + R"("})"; }

// MLOS_SWAPS=1000 for the long run.
int Swaps() {
  const char* text = std::getenv("MLOS_SWAPS");  // NOLINT(concurrency-mt-unsafe): one thread yet
  return text != nullptr ? std::atoi(text) : 10;
}

TEST(SwapTest, NoRequestFailsUnderLoad) {
  const int swaps = Swaps();
  const Digits digits = HeldOutDigits();
  Daemon daemon;
  daemon.BringDigits();
  const auto labels = Classified(daemon, digits);
  const std::string copy = CopyAsVersion(OnnxPlugin(), daemon.dir() / "copy", "1.1.0");
  ASSERT_EQ(201, daemon.RegisterPlugin(copy).status);
  Traffic traffic(daemon.address(), digits, labels, 4);
  for (int i = 0; i < swaps; ++i) {
    const size_t before = traffic.answers();
    ASSERT_TRUE(WaitUntil([&] { return traffic.answers() > before + 50; }));
    const std::string from = i % 2 == 0 ? "1.0.0" : "1.1.0";
    const std::string to = i % 2 == 0 ? "1.1.0" : "1.0.0";
    const Reply swapped = daemon.Post("/api/v1/plugins/onnxruntime/swap", SwapTo(to));
    ASSERT_EQ(200, swapped.status) << Show(swapped);
    EXPECT_EQ(from, At(swapped, "/from"));
    EXPECT_EQ(to, At(swapped, "/to"));
    EXPECT_EQ("done", At(swapped, "/state"));
    EXPECT_EQ(to, At(daemon.Get("/api/v1/models/digits/versions/1"), "/plugin_version"));
    EXPECT_EQ("unloaded", At(daemon.Get("/api/v1/plugins/onnxruntime/versions/" + from), "/state"));
    EXPECT_EQ(1u, ParseJson(daemon.Get("/api/v1/hosts").body).at("hosts").as_array().size());
  }
  traffic.Stop();
  EXPECT_THAT(traffic.failures(), testing::IsEmpty());
}

TEST(SwapTest, AVersionThatDoesNotLoadChangesNothing) {
  const Digits digits = HeldOutDigits();
  Daemon daemon;
  daemon.BringDigits();
  const auto labels = Classified(daemon, digits);
  const pid_t host = daemon.HostOf("onnxruntime").pid;
  const std::string copy = CopyAsVersion(OnnxPlugin(), daemon.dir() / "copy", "1.1.0");
  for (const auto& entry : std::filesystem::directory_iterator(copy)) {
    if (entry.path().extension() == ".so") WriteWhole(entry.path(), "no library");
  }
  ASSERT_EQ(201, daemon.RegisterPlugin(copy).status);
  Traffic traffic(daemon.address(), digits, labels, 2);
  const Reply refused = daemon.Post("/api/v1/plugins/onnxruntime/swap", SwapTo("1.1.0"));
  EXPECT_EQ(503, refused.status) << Show(refused);
  const Reply bad = daemon.Get("/api/v1/plugins/onnxruntime/versions/1.1.0");
  EXPECT_EQ("failed", At(bad, "/state"));
  EXPECT_NE("", At(bad, "/reason"));
  EXPECT_EQ(host, daemon.HostOf("onnxruntime").pid);
  EXPECT_EQ("1.0.0", At(daemon.Get("/api/v1/models/digits/versions/1"), "/plugin_version"));
  const size_t before = traffic.answers();
  EXPECT_TRUE(WaitUntil([&] { return traffic.answers() > before + 50; }));
  traffic.Stop();
  EXPECT_THAT(traffic.failures(), testing::IsEmpty());
}

TEST(SwapTest, ARollbackGoesBackAndForth) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  EXPECT_REFUSED(409, "no version to go back to", daemon.Post("/api/v1/plugins/echo/rollback"));
  EXPECT_STATUS(404, daemon.Post("/api/v1/plugins/nothing/rollback"));
  EXPECT_STATUS(404, daemon.Post("/api/v1/plugins/echo/swap", SwapTo("7.0.0")));
  ASSERT_EQ(201,
            daemon.RegisterPlugin(CopyAsVersion(TestPlugin("echo"), daemon.dir() / "copy", "2.0.0"))
                .status);
  ASSERT_EQ(200, daemon.Post("/api/v1/plugins/echo/swap", SwapTo("2.0.0")).status);
  for (const char* version : {"1.0.0", "2.0.0", "1.0.0"}) {
    const Reply back = daemon.Post("/api/v1/plugins/echo/rollback");
    EXPECT_EQ(version, At(back, "/to")) << Show(back);
    EXPECT_EQ(version, At(daemon.Get("/api/v1/models/m-echo/versions/1"), "/plugin_version"));
  }
  // The active version already: nothing to do.
  EXPECT_STATUS(200, daemon.Post("/api/v1/plugins/echo/swap", SwapTo("1.0.0")));
}

TEST(SwapTest, WithoutWaitingTheAnswerIs202) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  ASSERT_EQ(201,
            daemon.RegisterPlugin(CopyAsVersion(TestPlugin("echo"), daemon.dir() / "copy", "2.0.0"))
                .status);
  const Reply accepted = daemon.Post("/api/v1/plugins/echo/swap?wait=false", SwapTo("2.0.0"));
  EXPECT_EQ(202, accepted.status) << Show(accepted);
  EXPECT_EQ("running", At(accepted, "/state"));
  EXPECT_TRUE(WaitUntil([&] {
    return At(daemon.Get("/api/v1/plugins/echo/versions/1.0.0"), "/state") == "unloaded";
  }));
  EXPECT_EQ("true", At(daemon.Get("/api/v1/plugins/echo/versions/2.0.0"), "/active"));
}

}  // namespace
}  // namespace mlos::test
