// SPDX-License-Identifier: Apache-2.0
//
// A plugin is swapped for another version while clients call.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

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

// What one client was told of its swaps.
struct Swapped {
  std::chrono::steady_clock::time_point begin, end;
  std::string from, to;
};

// Swaps at random until told to stop.  Only what the table of changes allows is answered.
void SwapAtRandom(const std::string& address, unsigned seed, const std::atomic<bool>& stop,
                  std::atomic<size_t>* count, std::vector<Swapped>* done,
                  std::vector<std::string>* wrong) {
  const char* versions[] = {"1.0.0", "2.0.0", "3.0.0"};
  std::mt19937 random(seed);
  HttpClient client(address);
  while (!stop) {
    Swapped swap;
    swap.begin = std::chrono::steady_clock::now();
    const Reply reply = random() % 4 == 0 ? client.Send("POST", "/api/v1/plugins/echo/rollback")
                                          : client.Send("POST", "/api/v1/plugins/echo/swap",
                                                        SwapTo(versions[random() % 3]));
    swap.end = std::chrono::steady_clock::now();
    if (reply.status == 409) continue;  // another one runs, or there was none to roll back
    if (reply.status != 200) {
      wrong->push_back(Show(reply));
      continue;
    }
    swap.from = At(reply, "/from");
    swap.to = At(reply, "/to");
    if (swap.from == swap.to) continue;
    done->push_back(swap);
    ++*count;
  }
}

// Registers, loads, unloads and removes a model, over and over.
void ComeAndGo(const std::string& address, const std::atomic<bool>& stop,
               std::vector<std::string>* wrong) {
  HttpClient client(address);
  const std::string body = R"({"name":"guest","plugin":"echo","path":")" +
                           SourcePath("tests/plugins/model.test") + R"("})";
  const std::string version = "/api/v1/models/guest/versions/1";
  const auto expect = [&](const Reply& reply, int status) {
    if (reply.status != status) wrong->push_back(Show(reply));
  };
  while (!stop) {
    expect(client.Send("POST", "/api/v1/models", body), 201);
    expect(client.Send("POST", version + "/load"), 200);
    expect(client.Send("POST", version + "/unload"), 200);
    expect(client.Send("DELETE", version), 200);
  }
}

void InferAtRandom(const std::string& address, const std::atomic<bool>& stop,
                   std::atomic<size_t>* answers, std::vector<std::string>* wrong) {
  HttpClient client(address);
  const std::string body = R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[5]}]})";
  while (!stop) {
    const Reply host = client.Send("POST", "/v2/models/m-echo/infer", body);
    if (host.status != 200 || Numbers(host, "/outputs/0/data") != std::vector<double>{5}) {
      wrong->push_back(Show(host));
    }
    const Reply guest = client.Send("POST", "/v2/models/guest/infer", body);
    const bool defined = guest.status == 200 || guest.status == 404 || guest.status == 503;
    if (!defined) wrong->push_back(Show(guest));
    *answers += 2;
  }
}

// Swaps, rollbacks, a model that comes and goes, and requests, all at once: the
// swaps that were answered with success are one chain, in the order in which
// they were answered, and no request for what stays is lost.
TEST(SwapTest, ChangesThatRaceHaveOneOrder) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  for (const char* version : {"2.0.0", "3.0.0"}) {
    const std::string copy = CopyAsVersion(TestPlugin("echo"), daemon.dir() / version, version);
    ASSERT_EQ(201, daemon.RegisterPlugin(copy).status);
  }
  std::atomic<bool> stop{false};
  std::atomic<size_t> answers{0};
  std::atomic<size_t> count{0};
  std::vector<Swapped> swaps[3];
  std::vector<std::string> wrong[6];
  std::vector<std::thread> threads;
  for (unsigned k = 0; k < 3; ++k) {
    threads.emplace_back(
        [&, k] { SwapAtRandom(daemon.address(), k, stop, &count, &swaps[k], &wrong[k]); });
  }
  threads.emplace_back([&] { ComeAndGo(daemon.address(), stop, &wrong[3]); });
  for (const size_t k : {4, 5}) {
    threads.emplace_back([&, k] { InferAtRandom(daemon.address(), stop, &answers, &wrong[k]); });
  }
  EXPECT_TRUE(WaitUntil([&] { return answers > 1000 && count > 20; }, std::chrono::seconds(100)));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (const auto& texts : wrong) EXPECT_THAT(texts, testing::IsEmpty());

  std::vector<Swapped> all;
  for (const auto& some : swaps) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end(),
            [](const Swapped& a, const Swapped& b) { return a.end < b.end; });
  std::string active = "1.0.0";
  for (const Swapped& swap : all) {
    EXPECT_EQ(active, swap.from);
    active = swap.to;
  }
  EXPECT_EQ("true", At(daemon.Get("/api/v1/plugins/echo/versions/" + active), "/active"));
}

}  // namespace
}  // namespace mlos::test
