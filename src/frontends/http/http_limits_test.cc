// SPDX-License-Identifier: Apache-2.0
//
// Limits on what peers hold, over real sockets: connections of one address,
// memory that is only claimed, answers that nobody takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "frontends/http/http_fakes.h"

namespace mlos::http {
namespace {

using testing::HasSubstr;

constexpr std::string_view kInfer =
    R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";

std::string Head(uint64_t length, std::string_view model, std::string_view fields = {}) {
  return "POST /v2/models/" + std::string(model) +
         "/infer HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(length) + "\r\n" +
         std::string(fields) + "\r\n";
}

TEST(HttpLimitsTest, ConnectionsOfOneAddress) {
  TestServer server({.max_connections_per_address = 2});
  const std::string path =
      (std::filesystem::temp_directory_path() / ("mlos_limits_" + std::to_string(::getpid())))
          .string();
  server.OnLoop([&] { ASSERT_TRUE(server.server().Listen("unix:" + path).ok()); });
  TestClient first(server.address());
  TestClient second(server.address());
  EXPECT_EQ(first.Ask("GET", "/v2").status, 200);
  EXPECT_EQ(second.Ask("GET", "/v2").status, 200);
  for (int i = 0; i < 100; ++i) {
    TestClient third(server.address());
    third.Send("GET /v2 HTTP/1.1\r\nHost: t\r\n\r\n");
    const Reply refused = third.Read();
    ASSERT_EQ(refused.status, 503);
    EXPECT_THAT(refused.body, HasSubstr("from your address"));
    EXPECT_EQ(refused.fields.at("retry-after"), "1");
    EXPECT_EQ(refused.fields.at("connection"), "close");
    EXPECT_TRUE(third.AtEnd());
  }
  EXPECT_EQ(server.connections(), 2u);
  // A user on a Unix socket is somebody else, with a limit of his own.
  TestClient local("unix:" + path);
  EXPECT_EQ(local.Ask("GET", "/v2").status, 200);
  TestClient local_too("unix:" + path);
  EXPECT_EQ(local_too.Ask("GET", "/v2").status, 200);
  EXPECT_EQ(TestClient("unix:" + path).Read().status, 503);
  // Who leaves makes room.
  second.Close();
  ASSERT_TRUE(Eventually([&] { return server.connections() == 3; }));
  EXPECT_EQ(TestClient(server.address()).Ask("GET", "/v2").status, 200);
}

// What it has sent is read, or the system would take the answer back.
TEST(HttpLimitsTest, WhoIsTurnedAwayIsToldSoOnEverySocket) {
  TestServer server({.max_connections = 1});
  const std::string path =
      (std::filesystem::temp_directory_path() / ("mlos_turned_" + std::to_string(::getpid())))
          .string();
  server.OnLoop([&] { ASSERT_TRUE(server.server().Listen("unix:" + path).ok()); });
  TestClient first(server.address());
  EXPECT_EQ(first.Ask("GET", "/v2").status, 200);
  for (const std::string& address : {server.address(), "unix:" + path}) {
    std::optional<TestClient> second;
    server.OnLoop([&] {  // it is accepted after it has sent
      second.emplace(address);
      second->Send("POST /v2 HTTP/1.1\r\nHost: t\r\n\r\n" + std::string(20'000, 'x'));
    });
    EXPECT_EQ(second->Read().status, 503) << address;
    EXPECT_TRUE(second->AtEnd()) << address;
  }
}

// Thirty claim 32 MiB each where 64 MiB may be in use; 64 KiB, which do not count, are what each
// gets.
TEST(HttpLimitsTest, BodiesThatAreOnlyClaimedTakeNoMemoryFromOthers) {
  TestServer server({.max_body_bytes = 32 << 20, .max_buffered_bytes = 64 << 20});
  std::vector<std::unique_ptr<TestClient>> claims;
  for (int i = 0; i < 30; ++i) {
    claims.push_back(std::make_unique<TestClient>(server.address()));
    claims.back()->Send(Head(32 << 20, "id_FP32", "Expect: 100-continue\r\n"));
    ASSERT_EQ(claims.back()->Read().status, 100) << i;
  }
  TestClient honest(server.address());
  const std::string body = std::string(kInfer) + std::string(16 << 20, ' ');
  EXPECT_EQ(honest.Ask("POST", "/v2/models/id_FP32/infer", body).status, 200);
  // What is really sent is counted, and refused when it is too much.
  const std::string half(12 << 20, ' ');
  int refused = 0;
  for (int i = 0; i < 8; ++i) {
    TestClient& claim = *claims[static_cast<size_t>(i)];
    if (!claim.Send(half)) continue;
  }
  ASSERT_TRUE(Eventually([&] { return server.connections() < 31; }));
  for (auto& claim : claims) claim->ShutdownSend();
  for (int i = 0; i < 8; ++i) {
    refused += claims[static_cast<size_t>(i)]->Read().status == 503 ? 1 : 0;
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 8);
}

// Of a model that has as many requests as it may.
class FullModelTest : public testing::Test {
 protected:
  explicit FullModelTest(HttpOptions options = {}) : server_(std::move(options)) {
    server_.engine().full = true;
  }
  void ExpectTurnedAway(TestClient& client) {
    const Reply reply = client.Read();
    EXPECT_EQ(reply.status, 503);
    EXPECT_THAT(reply.body, HasSubstr("too many requests"));
    EXPECT_EQ(reply.fields.at("retry-after"), "1");
    EXPECT_EQ(reply.fields.at("connection"), "close");
  }
  uint64_t Refused() {
    return server_.engine()
        .book()
        ->Of(std::hash<std::string>()("id_FP32/1"), "id_FP32", "1")
        ->requests[0][static_cast<size_t>(StatusCode::kUnavailable)]
        .value();
  }

  TestServer server_;
};

TEST_F(FullModelTest, IsSaidBeforeALargeBodyIsRead) {
  constexpr size_t kBytes = 20 << 20;
  TestClient client(server_.address());
  client.Send(Head(kBytes, "id_FP32") + std::string(kInfer));
  ExpectTurnedAway(client);  // of which hardly anything has been sent
  // It is sent all the same, by a client that looks only afterwards, and arrives.
  EXPECT_TRUE(client.Send(std::string(kBytes - kInfer.size(), ' ')));
  EXPECT_TRUE(client.AtEnd());
  client.Close();
  EXPECT_TRUE(Eventually([&] { return server_.connections() == 0; }));
  EXPECT_EQ(server_.engine().resolved, 0);
  EXPECT_EQ(Refused(), 1u);
}

TEST_F(FullModelTest, WhoAsksIsToldAndSendsNothing) {
  for (const char* fields : {"Content-Length: 200\r\n", "Transfer-Encoding: chunked\r\n"}) {
    TestClient client(server_.address());
    client.Send("POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n" +
                std::string(fields) + "\r\n");
    ExpectTurnedAway(client);
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(Refused(), 2u);
}

TEST_F(FullModelTest, WhatIsHereOrConcernsNoModelIsAnsweredAsEver) {
  TestClient client(server_.address());
  // Whether there is room is seen when it is wanted.
  EXPECT_EQ(client.Ask("POST", "/v2/models/id_FP32/infer", kInfer).status, 200);
  EXPECT_EQ(
      client.Ask("POST", "/v2/models/id_FP32/infer", kInfer, "Expect: 100-continue\r\n").status,
      200);
  const std::string settings = R"({"log_info":null})" + std::string(100'000, ' ');
  EXPECT_NE(client.Ask("POST", "/v2/logging", settings).status, 503);
  EXPECT_EQ(Refused(), 0u);
}

class FullModelInHasteTest : public FullModelTest {
 protected:
  FullModelInHasteTest()
      : FullModelTest({.transfer_timeout_ns = 300 * kNanosPerMilli,
                       .linger_ns = 60 * kNanosPerSecond,
                       .sweep_ns = 20 * kNanosPerMilli}) {}
};

// The rest of a body has the time that a body has, however long the client may linger.
TEST_F(FullModelInHasteTest, WhoDoesNotSendTheRestIsGone) {
  TestClient client(server_.address());
  client.Send(Head(1 << 20, "id_FP32") + std::string(kInfer));
  ExpectTurnedAway(client);
  EXPECT_TRUE(Eventually([&] { return server_.connections() == 0; }));
}

TEST(HttpLimitsTest, ABodyOfEverySizeArrivesWhole) {
  TestServer server({.max_body_bytes = 8 << 20, .max_buffered_bytes = 8 << 20});
  TestClient client(server.address());
  constexpr size_t kStep = 1 << 20;
  constexpr size_t kFirst = 64 << 10;
  for (const size_t size :
       {kFirst / 2, kFirst - 300, kFirst - 64, kFirst, kFirst + 1, 2 * kFirst, 3 * kFirst,
        kStep - 65, kStep - 64, kStep - 63, kStep, kStep + 1, 2 * kStep - 64, 2 * kStep - 63,
        5 * kStep, 3 * kStep, 8 * kStep - 100}) {
    const std::string blob(size, '\x5a');
    const std::string json = R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[)" +
                             std::to_string(size) + R"(],"parameters":{"binary_data_size":)" +
                             std::to_string(size) +
                             R"(}}],"parameters":{"binary_data_output":true}})";
    if (json.size() + size > 8 * kStep) continue;
    client.Send(Head(json.size() + size, "id_UINT8",
                     "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n") +
                json + blob);
    const Reply reply = client.Read();
    ASSERT_EQ(reply.status, 200) << size << reply.body.substr(0, 200);
    EXPECT_EQ(reply.body.substr(reply.body.size() - size), blob) << size;
  }
}

// It is slow, not gone: it gets its answer, but not out of the model's memory.
TEST(HttpLimitsTest, AnAnswerThatIsNotTakenLeavesTheModel) {
  TestServer server({.sweep_ns = 20 * kNanosPerMilli});
  constexpr size_t kBytes = 32 << 20;
  std::string blob(kBytes, '\0');
  for (size_t i = 0; i < blob.size(); ++i) blob[i] = static_cast<char>(i * 7 >> 3);
  const std::string json = R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[33554432],)"
                           R"("parameters":{"binary_data_size":33554432}}],)"
                           R"("parameters":{"binary_data_output":true}})";
  TestClient client(server.address());
  for (int round = 0; round < 2; ++round) {
    client.Send(Head(json.size() + kBytes, "id_UINT8",
                     "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n") +
                json + blob);
    ASSERT_TRUE(Eventually([&] { return server.engine().submitted == round + 1; }));
    EXPECT_TRUE(Eventually([&] { return server.engine().running == 0; }));
    EXPECT_EQ(server.connections(), 1u);
    const Reply reply = client.Read();
    ASSERT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body.size() > kBytes &&
                reply.body.substr(reply.body.size() - kBytes) == blob);
  }
  EXPECT_EQ(client.Ask("GET", "/v2").status, 200);
}

// To be compressed an answer waits in the model's memory too: beyond those that may
// it goes as it is, at once.
TEST(HttpLimitsTest, AnswersThatAreCompressedCountAmongThoseThatWait) {
  constexpr int kMostHeld = 64;
  constexpr size_t kBytes = 1 << 20;  // more than a socket takes
  TestServer server({.sweep_ns = 600 * kNanosPerSecond});
  const std::string path =
      (std::filesystem::temp_directory_path() / ("mlos_held_" + std::to_string(::getpid())))
          .string();
  server.OnLoop([&] { ASSERT_TRUE(server.server().Listen("unix:" + path).ok()); });
  const std::string json = R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[1048576],)"
                           R"("parameters":{"binary_data_size":1048576}}],)"
                           R"("parameters":{"binary_data_output":true}})";
  const auto request = [&](std::string_view fields) {
    return Head(json.size() + kBytes, "id_UINT8",
                "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n" +
                    std::string(fields)) +
           json + std::string(kBytes, 'x');
  };
  std::vector<std::unique_ptr<TestClient>> slow;
  for (int i = 0; i < kMostHeld; ++i) {
    slow.push_back(std::make_unique<TestClient>("unix:" + path));
    ASSERT_TRUE(slow.back()->Send(request("")));
  }
  ASSERT_TRUE(Eventually([&] { return server.engine().submitted == kMostHeld; }));
  TestClient client(server.address());
  client.Send(request("Accept-Encoding: gzip\r\n"));
  const Reply plain = client.Read();
  EXPECT_EQ(plain.status, 200);
  EXPECT_EQ(plain.fields.count("content-encoding"), 0u);
  slow.clear();
  ASSERT_TRUE(Eventually([&] { return server.connections() == 1; }));
  for (int i = 0; i < 2 * kMostHeld; ++i) {  // each gives its place back
    client.Send(request("Accept-Encoding: gzip\r\n"));
    const Reply packed = client.Read();
    ASSERT_EQ(packed.fields.count("content-encoding"), 1u) << i;
  }
}

// Where there is no memory for it either, it is the client's connection that ends.
TEST(HttpLimitsTest, AnAnswerThatIsNotTakenAndHasNoRoomIsGivenUp) {
  TestServer server({.max_body_bytes = 40 << 20,
                     .max_buffered_bytes = 40 << 20,
                     .sweep_ns = 20 * kNanosPerMilli});
  constexpr size_t kBytes = 32 << 20;
  const std::string json = R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[33554432],)"
                           R"("parameters":{"binary_data_size":33554432}}],)"
                           R"("parameters":{"binary_data_output":true}})";
  TestClient client(server.address());
  client.Send(Head(json.size() + kBytes, "id_UINT8",
                   "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n") +
              json + std::string(kBytes, 'x'));
  EXPECT_TRUE(Eventually([&] { return server.connections() == 0; }));
  EXPECT_EQ(server.engine().running, 0);
}

TEST(HttpLimitsTest, TensorsAndDepthOfOneRequest) {
  TestServer server({.max_tensors = 3, .max_json_depth = 4});
  TestClient client(server.address());
  const auto ask = [&](const std::string& body) {
    return client.Ask("POST", "/v2/models/id_FP32/infer", body);
  };
  const auto data = [](const std::string& array) {
    return R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":)" + array + "}]}";
  };
  EXPECT_EQ(ask(data("[[[[7]]]]")).status, 200);
  const Reply deep = ask(data("[[[[[7]]]]]"));
  EXPECT_EQ(deep.status, 400);
  EXPECT_THAT(deep.body, HasSubstr("deeper than 4 levels"));
  const auto outputs = [&](int count) {
    std::string list;
    for (int i = 0; i < count; ++i) list += R"(,{"name":"out"})";
    std::string body = data("[7]");
    body.back() = ',';
    return body + R"("outputs":[)" + list.substr(1) + "]}";
  };
  EXPECT_EQ(ask(outputs(1)).status, 200);
  EXPECT_THAT(ask(outputs(3)).body, HasSubstr("twice"));
  EXPECT_THAT(ask(outputs(4)).body, HasSubstr("more than 3 outputs"));
  const std::string input = R"({"name":"in","datatype":"FP32","shape":[1],"data":[7]})";
  EXPECT_THAT(ask(R"({"inputs":[)" + input + "," + input + "," + input + "," + input + "]}").body,
              HasSubstr("more than 3 inputs"));
}

}  // namespace
}  // namespace mlos::http
