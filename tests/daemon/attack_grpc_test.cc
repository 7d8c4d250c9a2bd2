// SPDX-License-Identifier: Apache-2.0
//
// Attacks on the port of gRPC (T2, T9, T11 and T12 of the reliability tests):
// floods and resets by frames that are built by hand, calls that are given up,
// clients that say nothing or never read.  And what a port of HTTP/2 is asked
// by others: plain requests, by clients that people have.
#include <array>
#include <cstdio>
#include <functional>

#include "oracle.h"
#include "raw_peer.h"

namespace mlos::test {
namespace {

using std::chrono::seconds;

constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kPriority = 2;
constexpr uint8_t kReset = 3;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kPing = 6;
constexpr uint8_t kWindowUpdate = 8;
constexpr uint8_t kContinuation = 9;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;

std::string Number(uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
          static_cast<char>(n)};
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  std::string out = Number(static_cast<uint32_t>(payload.size())).substr(1);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out + Number(stream) + payload;
}

std::string Hello() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, ""); }

// A field as it is, without a table.
std::string Field(const std::string& name, const std::string& value) {
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  out += name;
  out += static_cast<char>(value.size());
  return out + value;
}

// POST of http at "x", a call of this path.
std::string CallHead(const std::string& path) {
  return "\x83\x86\x41\x01x" + Field(":path", path) + Field("content-type", "application/grpc") +
         Field("te", "trailers");
}

constexpr char kInfer[] = "/inference.GRPCInferenceService/ModelInfer";
constexpr char kStream[] = "/inference.GRPCInferenceService/ModelStreamInfer";

// A client's streams: 1, 3, 5 ...
uint32_t StreamOf(int i) { return static_cast<uint32_t>(2 * i + 1); }

class GrpcAttack : public AttackTest {
 protected:
  void Begin(const std::vector<std::string>& args = {}) {
    RaiseDescriptorLimit();
    ASSERT_NO_FATAL_FAILURE(Start(args));
    ASSERT_NO_FATAL_FAILURE(Watch());
  }

  // Some connections, each of which says `piece` over and over until the server
  // has hung up.  What it said to each.
  std::vector<std::string> Flood(const std::function<std::string(int)>& piece) {
    constexpr int kPeers = 8;
    constexpr int kMost = 200'000;
    std::vector<std::string> said;
    for (int i = 0; i < kPeers; ++i) {
      RawPeer peer(daemon().grpc_address());
      EXPECT_TRUE(peer.Send(Hello()));
      int n = 0;
      // In runs: a socket for each frame would measure the client.
      while (n < kMost && !peer.HungUp()) {
        std::string run;
        for (int k = 0; k < 50; ++k) run += piece(n++);
        if (!peer.Send(run)) break;
      }
      EXPECT_LT(n, kMost) << "the server takes it all";
      said.push_back(peer.ReadToEnd());
    }
    return said;
  }
  static void ExpectAll(const std::string& word, const std::vector<std::string>& said) {
    size_t told = 0;
    for (const std::string& text : said) told += text.find(word) != std::string::npos ? 1 : 0;
    // Who goes on talking may lose the word to a reset of its connection.
    EXPECT_GT(told, 0u) << word << "; one was told " << testing::PrintToString(said.front());
  }
};

TEST_F(GrpcAttack, RapidResetInBothForms) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const auto open = [](int i, const char* path) {
    return Frame(kHeaders, kEndHeaders, StreamOf(i), CallHead(path));
  };
  ExpectAll("too_many_resets", Flood([&](int i) {
              return open(i, kStream) + Frame(kReset, 0, StreamOf(i), Number(8));
            }));
  // The client's error makes the server reset it.
  ExpectAll("too_many_resets", Flood([&](int i) {
              return open(i, kInfer) + Frame(kWindowUpdate, 0, StreamOf(i), Number(0x7fffffff));
            }));
}

TEST_F(GrpcAttack, FramesThatMoveNothing) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  Flood([](int) { return Frame(kSettings, 0, 0, ""); });
  ExpectAll("too_many_idle_frames",
            Flood([](int) { return Frame(kWindowUpdate, 0, 0, Number(1)); }));
  ExpectAll("too_many_idle_frames",
            Flood([](int) { return Frame(kPriority, 0, 1, Number(0) + "\x10"); }));
  ExpectAll("too_many_pings", Flood([](int) { return Frame(kPing, 0, 0, "12345678"); }));
  ExpectAll("too_many_idle_frames", Flood([](int i) {
              const std::string head = Frame(kHeaders, kEndHeaders, 1, CallHead(kStream));
              return (i == 0 ? head : "") + Frame(kData, 0, 1, "");
            }));
}

TEST_F(GrpcAttack, HeadersWithoutEnd) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  Flood([](int i) {
    const std::string more = Field("a", std::string(100, 'b'));
    if (i == 0) return Frame(kHeaders, 0, 1, CallHead(kInfer));
    return Frame(kContinuation, 0, 1, more);
  });
  // A byte on the wire is a field of 3000 in memory.
  std::string bomb =
      "\x40\x01"
      "a\x7f";
  bomb += static_cast<char>((3000 - 127) % 128 + 128);
  bomb += static_cast<char>((3000 - 127) / 128);
  bomb += std::string(3000, 'v') + std::string(10'000, '\xbe');
  ExpectAll("headers_too_large",
            Flood([&](int i) { return Frame(kHeaders, kEndHeaders, StreamOf(i), bomb); }));
}

// T9: at every stage, from the first byte to the last.
TEST_F(GrpcAttack, CallsThatAreGivenUp) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  // A ModelInferRequest of "bystander" that lacks its input, so that the server looks at it.
  const std::string body = std::string("\x0a\x09") + "bystander";
  const std::string message =
      std::string(1, '\0') + Number(static_cast<uint32_t>(body.size())) + body;
  for (const char* path : {kInfer, kStream}) {
    for (size_t sent = 0; sent <= message.size(); ++sent) {
      for (const bool reset : {false, true}) {
        RawPeer peer(daemon().grpc_address());
        std::string bytes = Hello() + Frame(kHeaders, kEndHeaders, 1, CallHead(path));
        if (sent > 0) bytes += Frame(kData, 0, 1, message.substr(0, sent));
        if (reset) bytes += Frame(kReset, 0, 1, Number(8));
        EXPECT_TRUE(peer.Send(bytes));
        EXPECT_FALSE(peer.ReadSome().empty());  // the server's greeting: it was there
      }
    }
  }
}

TEST_F(GrpcAttack, PeersThatSayNothingOrStopInTheMiddle) {
  ASSERT_NO_FATAL_FAILURE(Begin({"--grpc-header-timeout", "2s", "--grpc-idle-timeout", "3s",
                                 "--grpc-transfer-timeout", "2s"}));
  constexpr size_t kEach = 200;
  const std::string beginnings[] = {
      "", "PRI * HT", Hello(), Hello() + Frame(kHeaders, 0, 1, CallHead(kInfer)),
      Hello() + Frame(kHeaders, kEndHeaders, 1, CallHead(kInfer)) + Frame(kData, 0, 1, "\0\0")};
  std::vector<RawPeer> peers;
  peers.reserve(kEach * std::size(beginnings));
  for (const std::string& bytes : beginnings) {
    for (size_t i = 0; i < kEach; ++i) {
      peers.emplace_back(daemon().grpc_address());
      ASSERT_TRUE(peers.back().connected());
      if (!bytes.empty()) {
        EXPECT_TRUE(peers.back().Send(bytes));
      }
    }
  }
  size_t left = 0;
  EXPECT_TRUE(WaitUntil(
      [&] {
        left = 0;
        for (const RawPeer& peer : peers) left += peer.HungUp() ? 0 : 1;
        return left == 0;
      },
      seconds(60)))
      << left << " peers are still there";
}

// --------------------------------------------------------------- plain requests

// What a command prints.
std::string Output(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  EXPECT_NE(nullptr, pipe);
  if (pipe == nullptr) return out;
  std::array<char, 4096> piece;
  while (const size_t n = std::fread(piece.data(), 1, piece.size(), pipe)) {
    out.append(piece.data(), n);
  }
  ::pclose(pipe);
  return out;
}

TEST_F(GrpcAttack, PlainRequestsAreAnsweredOnItsPort) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::string h2 = "http://" + daemon().grpc_address();
  const std::string curl = "curl --silent --show-error --http2-prior-knowledge ";
  EXPECT_EQ("{\"ready\":true}", Output(curl + h2 + "/v2/health/ready"));
  EXPECT_EQ("404",
            Output(curl + "--output /dev/null --write-out '%{http_code}' " + h2 + "/nothing"));
  // Who speaks HTTP/1.1 is told where he is.
  RawPeer old(daemon().grpc_address());
  EXPECT_TRUE(old.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_NE(std::string::npos, old.ReadToEnd().find("HTTP/1.1 505 "));
}

TEST_F(GrpcAttack, ManyRequestsAtOnceAreAllAnswered) {
  ASSERT_NO_FATAL_FAILURE(Begin());
  const std::string said =
      Output("h2load -n 5000 -c 8 -m 64 http://" + daemon().grpc_address() + "/v2/health/ready");
  EXPECT_NE(std::string::npos, said.find("5000 succeeded, 0 failed")) << said;
}

}  // namespace
}  // namespace mlos::test
