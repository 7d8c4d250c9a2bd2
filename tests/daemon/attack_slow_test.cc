// SPDX-License-Identifier: Apache-2.0
//
// Attacks by slowness (T11 of the reliability tests): a thousand peers that
// hold what they were given, and give back nothing.  All of them are rid of in
// time, and nobody else waits for that.
#include <atomic>
#include <functional>
#include <thread>

#include "oracle.h"
#include "raw_peer.h"

namespace mlos::test {
namespace {

using std::chrono::seconds;

constexpr size_t kPeers = 1000;

class SlowAttack : public AttackTest {
 protected:
  void Begin(std::vector<std::string> args) {
    RaiseDescriptorLimit();
    args.insert(args.end(), {"--http-idle-timeout", "3s", "--http-header-timeout", "2s",
                             "--http-transfer-timeout", "2s"});
    ASSERT_NO_FATAL_FAILURE(Start(args));
  }

  // `head` at once, then `drop` over and over, a peer a turn, until the server has hung up on
  // all.  Returns what it said to each of them.
  std::vector<std::string> Trickle(const std::function<std::string(size_t)>& head,
                                   const std::string& drop) {
    std::vector<RawPeer> peers;
    peers.reserve(kPeers);
    for (size_t i = 0; i < kPeers; ++i) {
      peers.emplace_back(daemon().address());
      EXPECT_TRUE(peers.back().connected());
      EXPECT_TRUE(peers.back().Send(head(i)));
    }
    std::vector<bool> gone(kPeers, false);
    size_t left = kPeers;
    EXPECT_TRUE(WaitUntil(
        [&] {
          for (size_t i = 0; i < kPeers; ++i) {
            if (gone[i] || (!peers[i].HungUp() && peers[i].Trickle(drop))) continue;
            gone[i] = true;
            --left;
          }
          return left == 0;
        },
        seconds(40)))
        << left << " peers are still there";
    std::vector<std::string> said;
    said.reserve(kPeers);
    for (RawPeer& peer : peers) said.push_back(peer.ReadToEnd());
    return said;
  }

  // The peers ask, and never read the answer.
  void DoNotRead(const std::string& address, const std::string& request) {
    std::vector<RawPeer> peers;
    peers.reserve(kPeers);
    for (size_t i = 0; i < kPeers; ++i) {
      peers.emplace_back(address);
      EXPECT_TRUE(peers.back().Send(request));
    }
    size_t left = 0;
    EXPECT_TRUE(WaitUntil(
        [&] {
          left = 0;
          for (const RawPeer& peer : peers) left += peer.HungUp() ? 0 : 1;
          return left == 0;
        },
        seconds(40)))
        << left << " peers are still there";
  }

  void ExpectAll(int status, const std::vector<std::string>& said) {
    for (const std::string& text : said) {
      const std::vector<int> statuses = Statuses(text);
      // What it said may be lost where bytes that nobody reads have come behind it.
      EXPECT_TRUE(statuses.empty() || statuses == std::vector<int>{status}) << text;
    }
  }
};

TEST_F(SlowAttack, Headers) {
  ASSERT_NO_FATAL_FAILURE(Begin({}));
  ASSERT_NO_FATAL_FAILURE(Watch());
  ExpectAll(
      408, Trickle([](size_t i) { return i % 2 == 0 ? "GET /v2 HTTP/1.1\r\nHost: t\r\nX: " : "G"; },
                   "x"));
}

TEST_F(SlowAttack, Bodies) {
  ASSERT_NO_FATAL_FAILURE(Begin({}));
  ASSERT_NO_FATAL_FAILURE(Watch());
  const std::string start = "POST /v2/models/bystander/infer HTTP/1.1\r\nHost: t\r\n";
  const std::string heads[] = {start + "Content-Length: 30000\r\n\r\n",
                               start + "Content-Length: 200000\r\n\r\n",
                               start + "Content-Length: 67108864\r\n\r\n",
                               start + "Transfer-Encoding: chunked\r\n\r\n5000\r\n"};
  const auto begin = std::chrono::steady_clock::now();
  // What was claimed is no reason to wait: two seconds, and as long as the few bytes take.  Nor is
  // it one to be refused: nobody here holds memory that others may want.
  ExpectAll(408, Trickle([&](size_t i) { return heads[i % 4]; }, " "));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(30));
}

TEST_F(SlowAttack, PeersThatSayNothing) {
  ASSERT_NO_FATAL_FAILURE(Begin({}));
  ASSERT_NO_FATAL_FAILURE(Watch());
  ExpectAll(0, Trickle([](size_t) { return ""; }, ""));
  // Empty lines before a request are no request.
  for (const std::string& text : Trickle([](size_t) { return "\r\n"; }, "\r\n"))
    EXPECT_EQ("", text);
}

// Who only claims a large body must not keep the memory from those who send one.
TEST_F(SlowAttack, LargeBodiesThatNeverCome) {
  ASSERT_NO_FATAL_FAILURE(Begin({"--http-max-buffered", "64MiB", "--http-max-body", "32MiB"}));
  ASSERT_NO_FATAL_FAILURE(Watch());
  // As many as there may be of one address, but for those that send.
  constexpr int kClaims = 1000;
  std::vector<RawPeer> peers;
  peers.reserve(kClaims);
  for (int i = 0; i < kClaims; ++i) {
    peers.emplace_back(daemon().address());
    peers.back().Send(
        "POST /v2/models/bystander/infer HTTP/1.1\r\nHost: t\r\nContent-Length: 33000000\r\n\r\n{");
  }
  std::string large = R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1,2]}]})";
  large += std::string(8 << 20, ' ');
  for (int i = 0; i < 10; ++i) {
    const Reply reply = daemon().InferJson("bystander", large);
    EXPECT_EQ(200, reply.status) << Show(reply);
  }
  for (const RawPeer& peer : peers) EXPECT_TRUE(WaitUntil([&] { return peer.HungUp(); }));
}

// Answers that nobody takes lie in the model's memory, of which there are no thousand pieces.
TEST_F(SlowAttack, Readers) {
  // A Unix socket holds less than one of these answers.
  const TempDir dir;
  const std::string address = "unix:" + (dir / "sock");
  ASSERT_NO_FATAL_FAILURE(Begin({"--http-address", address}));
  daemon().BringPlugin(OnnxPlugin());
  ASSERT_EQ(201, daemon().RegisterModel("fp32", TestData("identity_fp32.onnx")).status);
  ASSERT_EQ(200, daemon().ModelAction("fp32", "load").status);
  constexpr int64_t kElements = 64 << 10;
  const std::string blob = BytesOf(std::vector<float>(kElements, 1.5f));
  const BinaryRequest request = MakeBinary({{"x", "FP32", {kElements}, blob}});
  std::string bytes = "POST /v2/models/fp32/infer HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                      std::to_string(request.body.size()) + "\r\n";
  for (const auto& [name, value] : request.headers()) bytes += name + ": " + value + "\r\n";
  bytes += "\r\n" + request.body;
  // A channel grows to what was in flight at once, and keeps it: the second time must not take
  // more.
  DoNotRead(address, bytes);
  ASSERT_NO_FATAL_FAILURE(Watch());

  // Another client of the same model, who reads.
  std::atomic<bool> stop{false};
  std::atomic<size_t> answers{0};
  std::vector<std::string> failures;
  std::thread reader([&] {
    HttpClient client(daemon().address());
    while (!stop) {
      const BinaryAnswer answer =
          ReadBinary(client.Send("POST", "/v2/models/fp32/infer", request.body, request.headers()));
      if (!answer.error.empty()) {
        failures.push_back(answer.error);
      } else if (answer.outputs.at("y").bytes != blob) {
        failures.emplace_back("another answer");
      }
      ++answers;
    }
  });
  DoNotRead(address, bytes);
  const size_t before = answers;
  EXPECT_TRUE(WaitUntil([&] { return answers >= before + 20; }));
  stop = true;
  reader.join();
  for (const std::string& failure : failures) ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace mlos::test
