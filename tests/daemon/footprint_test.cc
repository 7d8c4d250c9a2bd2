// SPDX-License-Identifier: Apache-2.0
//
// What requests leave behind in the daemon and in the plugin host: nothing.
#include <thread>

#include "base/sanitized.h"
#include "fixture.h"

namespace mlos::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// Sanitizers keep what was freed for a while.
constexpr uint64_t kMayGrow = kSanitized ? 600 * kMiB : 8 * kMiB;

TEST(FootprintTest, LargeRequestsLeaveNothingBehind) {
  Daemon daemon;
  daemon.BringPlugin(OnnxPlugin());
  ASSERT_EQ(201, daemon.RegisterModel("relu", SourcePath("bench/models/relu_224.onnx")).status);
  std::vector<float> values(3 * 224 * 224);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7) - 3;
  const std::string input = BytesOf(values);
  for (float& value : values) value = std::max(value, 0.f);
  const std::string expected = BytesOf(values);
  const BinaryRequest request = MakeBinary({{"input", "FP32", {1, 3, 224, 224}, input}});
  HttpClient client(daemon.address());
  const auto round = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const BinaryAnswer answer =
          ReadBinary(client.Send("POST", "/v2/models/relu/infer", request.body, request.headers()));
      ASSERT_EQ("", answer.error);
      ASSERT_TRUE(expected == answer.outputs.at("output").bytes);
    }
  };
  round(50);  // memory that is kept for reuse is there now
  const pid_t host = daemon.HostOf("onnxruntime").pid;
  const uint64_t core_before = RssBytes(daemon.pid());
  const uint64_t host_before = RssBytes(host);
  round(200);
  EXPECT_LT(RssBytes(daemon.pid()), core_before + kMayGrow);
  EXPECT_LT(RssBytes(host), host_before + kMayGrow);
  EXPECT_LT(RssBytes(daemon.pid()), kSanitized ? 2000 * kMiB : 100 * kMiB);
  EXPECT_EQ(host, daemon.HostOf("onnxruntime").pid);
  std::printf("mlosd %.1f MiB, host %.1f MiB\n", static_cast<double>(RssBytes(daemon.pid())) / kMiB,
              static_cast<double>(RssBytes(host)) / kMiB);
}

TEST(FootprintTest, AnIdleDaemonIsSmall) {
  Daemon daemon;
  EXPECT_STATUS(200, daemon.Get("/v2/health/ready"));
  EXPECT_LT(RssBytes(daemon.pid()), kSanitized ? 600 * kMiB : 30 * kMiB);
}

TEST(FootprintTest, ConnectionsGiveTheirDescriptorsBack) {
  Daemon daemon;
  daemon.BringPlugin(TemplatePlugin());
  ASSERT_EQ(201, daemon.RegisterModel("m", SourcePath("plugins/template/model.affine")).status);
  const auto body = R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})";
  EXPECT_STATUS(200, daemon.InferJson("m", body));
  // Files are read for their checksums when there is time for it: that must be over.
  const auto hashed = [&](const std::string& path) {
    return daemon.Get(path).body.find("\"sha256\":null") == std::string::npos;
  };
  ASSERT_TRUE(WaitUntil(
      [&] { return hashed("/api/v1/models/m/versions/1") && hashed("/api/v1/plugins/template"); }));
  const size_t before = CountFds(daemon.pid());
  {
    std::vector<HttpClient> clients;
    for (int i = 0; i < 100; ++i) {
      clients.emplace_back(daemon.address());
      EXPECT_STATUS(200, clients.back().Send("POST", "/v2/models/m/infer", body));
    }
    // Some are left with half a request, some with an answer that nobody reads.
    for (int i = 0; i < 100; i += 3) clients[i].Write("POST", "/v2/models/m/infer", body);
    for (int i = 1; i < 100; i += 3) {
      clients[i].Write("POST", "/v2/models/m/infer", "{", {{"Content-Length", "500"}});
    }
    EXPECT_GE(CountFds(daemon.pid()), before + 100);
  }
  EXPECT_TRUE(WaitUntil([&] { return CountFds(daemon.pid()) == before; }))
      << CountFds(daemon.pid()) << " descriptors, before " << before;
}

TEST(FootprintTest, LoadingAndUnloadingGiveTheirDescriptorsBack) {
  Daemon daemon;
  const auto cycle = [&] {
    EXPECT_STATUS(200, daemon.PluginAction("template", "load"));
    EXPECT_STATUS(200, daemon.ModelAction("m", "load"));
    EXPECT_STATUS(
        200, daemon.InferJson(
                 "m", R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})"));
    EXPECT_STATUS(200, daemon.ModelAction("m", "unload"));
    EXPECT_STATUS(200, daemon.PluginAction("template", "unload"));
  };
  ASSERT_EQ(201, daemon.RegisterPlugin(TemplatePlugin()).status);
  ASSERT_EQ(201, daemon.RegisterModel("m", SourcePath("plugins/template/model.affine")).status);
  cycle();
  const size_t fds = CountFds(daemon.pid());
  const uint64_t rss = RssBytes(daemon.pid());
  for (int i = 0; i < 20; ++i) cycle();
  EXPECT_TRUE(WaitUntil([&] { return CountFds(daemon.pid()) <= fds; }))
      << CountFds(daemon.pid()) << " descriptors, before " << fds;
  EXPECT_LT(RssBytes(daemon.pid()), rss + kMayGrow);
}

}  // namespace
}  // namespace mlos::test
