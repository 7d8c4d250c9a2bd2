// SPDX-License-Identifier: Apache-2.0
//
// What unloaded models had taken comes back, and nobody else notices.
#include <atomic>
#include <thread>

#include "fixture.h"
#include "onnx_file.h"
#include "traffic.h"

namespace mlos::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// While one takes over from another there are two of the same plugin.
size_t CountHosts(Daemon& daemon) {
  return ParseJson(daemon.Get("/api/v1/hosts").body).at("hosts").as_array().size();
}

constexpr size_t kLargeWeights = 50 * kMiB / 4;

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    daemon_.BringDigits();
    labels_ = Classified(daemon_, digits_);
  }

  void Bring(const std::string& name, const std::string& path) {
    ASSERT_EQ(201, daemon_.RegisterModel(name, path).status);
    const Reply loaded = daemon_.ModelAction(name, "load");
    ASSERT_EQ(200, loaded.status) << Show(loaded);
    const BinaryAnswer answer =
        daemon_.InferBinary(name, {{"I", "INT64", {1}, BytesOf(std::vector<int64_t>{1023})}});
    ASSERT_EQ("", answer.error);
    ASSERT_EQ(std::vector<float>{1023}, ValuesOf<float>(answer.outputs.at("Y").bytes));
  }

  // Of the host that has the plugin's models now; 0 while one takes over from another.
  uint64_t Resident() {
    uint64_t bytes = 0;
    const Reply reply = daemon_.Get("/api/v1/hosts");
    const auto hosts = ParseJson(reply.body).at("hosts").as_array();
    if (hosts.size() != 1) return 0;
    for (const auto& host : hosts) bytes += host.at("rss_bytes").to_number<uint64_t>();
    return bytes;
  }

  const Digits digits_ = HeldOutDigits();
  Daemon daemon_;
  std::vector<int64_t> labels_;
};

TEST_F(MemoryTest, SixLargeModelsAndManySmallOnesComeAndGo) {
  const std::string large = daemon_.dir() / "large.onnx";
  const std::string small = daemon_.dir() / "small.onnx";
  WriteWhole(large, PickModel(kLargeWeights));
  WriteWhole(small, PickModel(1024));
  Traffic traffic(daemon_.address(), digits_, labels_, 2);
  const uint64_t before = Resident();
  std::vector<std::string> names;
  for (int i = 0; i < 6; ++i) {
    names.push_back("large" + std::to_string(i));
    ASSERT_NO_FATAL_FAILURE(Bring(names.back(), large));
  }
  for (int i = 0; i < 40; ++i) {
    names.push_back("small" + std::to_string(i));
    ASSERT_NO_FATAL_FAILURE(Bring(names.back(), small));
  }
  const uint64_t full = Resident();
  ASSERT_GE(full, before + 6 * 50 * kMiB);
  for (const std::string& name : names) ASSERT_EQ(200, daemon_.ModelAction(name, "unload").status);
  // At once, or by a new process that takes over.
  EXPECT_TRUE(WaitUntil([&] {
    const uint64_t now = Resident();
    return now != 0 && now < before + (full - before) / 10;
  })) << before / kMiB
      << " MiB before, " << full / kMiB << " with the models, " << Resident() / kMiB << " after";
  const size_t answers = traffic.answers();
  EXPECT_TRUE(WaitUntil([&] { return traffic.answers() > answers + 100; }));
  traffic.Stop();
  EXPECT_THAT(traffic.failures(), testing::IsEmpty());
}

TEST(LeakingPluginTest, IsGivenANewProcessWithoutAFailedRequest) {
  Daemon daemon;
  daemon.BringTestModel("leaks_memory");
  const auto register_path = [&](const std::string& name) {
    return daemon.RegisterModel(name, SourcePath("tests/plugins/model.test"),
                                R"(,"plugin":"leaks_memory")");
  };
  const pid_t first = daemon.HostOf("leaks_memory").pid;
  std::atomic<bool> stop{false};
  std::atomic<size_t> answers{0};
  std::atomic<size_t> failures{0};
  std::thread client([&, address = daemon.address()] {
    HttpClient http(address);
    while (!stop) {
      const Reply reply =
          http.Send("POST", "/v2/models/m-leaks_memory/infer",
                    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[3]}]})");
      failures += reply.status == 200 && Numbers(reply, "/outputs/0/data")[0] == 3 ? 0 : 1;
      ++answers;
    }
  });
  pid_t now = first;
  for (int round = 0; round < 5; ++round) {
    const std::string name = "round" + std::to_string(round);
    const pid_t old = daemon.HostOf("leaks_memory").pid;
    EXPECT_EQ(201, register_path(name).status);
    EXPECT_EQ(200, daemon.ModelAction(name, "load").status);
    EXPECT_EQ(200, daemon.ModelAction(name, "unload").status);
    EXPECT_TRUE(WaitUntil([&] {
      now = daemon.HostOf("leaks_memory").pid;
      return now != old && now > 0 && CountHosts(daemon) == 1;
    })) << daemon.process().log();
  }
  const size_t before = answers;
  EXPECT_TRUE(WaitUntil([&] { return answers > before + 20; }));
  stop = true;
  client.join();
  EXPECT_NE(first, now);
  EXPECT_EQ(0u, failures);
  EXPECT_EQ("ready", At(daemon.Get("/api/v1/plugins/leaks_memory/versions/1.0.0"), "/state"));
}

}  // namespace
}  // namespace mlos::test
