// SPDX-License-Identifier: Apache-2.0
//
// The server over real sockets: paths, management, the transport's rules, its
// limits and what becomes of clients that leave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <simdjson.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "frontends/http/http_fakes.h"
#include "frontends/http/router.h"

namespace mlos::http {
namespace {

using testing::HasSubstr;

constexpr std::string_view kInfer =
    R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";

std::string Post(std::string_view path, std::string_view body, std::string_view fields = {}) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(fields) + "\r\n" + std::string(body);
}

class HttpTest : public testing::Test {
 protected:
  void Start(const HttpOptions& options = {}) {
    server_ = std::make_unique<TestServer>(options);
    client_ = std::make_unique<TestClient>(server_->address());
  }
  Reply Ask(std::string_view method, std::string_view path, std::string_view body = {},
            std::string_view fields = {}) {
    return client_->Ask(method, path, body, fields);
  }
  // A fresh connection that says `bytes` and reads the answer.
  Reply Say(std::string_view bytes) {
    TestClient client(server_->address());
    client.Send(bytes);
    Reply reply = client.Read();
    EXPECT_TRUE(reply.fields.count("connection") == 0 || client.AtEnd());
    return reply;
  }
  void ExpectClosed(const Reply& reply, int status, std::string_view text) {
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr(std::string(text)));
    ASSERT_EQ(reply.fields.count("connection"), 1u);
    EXPECT_EQ(reply.fields.at("connection"), "close");
  }

  std::unique_ptr<TestServer> server_;
  std::unique_ptr<TestClient> client_;
};

// -------------------------------------------------------------------- paths

TEST_F(HttpTest, HealthAndServerMetadata) {
  Start({.server_name = "mlos", .server_version = "1.2.3"});
  for (const char* path : {"/v2", "/v2/", "/v2?x=1", "http://any/v2"}) {
    const Reply reply = Ask("GET", path);
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.body, HasSubstr(R"({"name":"mlos","version":"1.2.3","extensions":[")"));
    for (const char* extension : {"binary_tensor_data", "model_repository", "statistics"}) {
      EXPECT_THAT(reply.body, HasSubstr('"' + std::string(extension) + '"'));
    }
  }
  EXPECT_EQ(Ask("GET", "/v2/health/live").body, R"({"live":true})");
  EXPECT_EQ(Ask("GET", "/v2/health/ready").body, R"({"ready":true})");
  server_->OnLoop([&] { server_->engine().SetReady(false); });
  const Reply reply = Ask("GET", "/v2/health/ready");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr(R"("ready":false)"));
  EXPECT_THAT(reply.body, HasSubstr("model m version 1 is loading"));
  EXPECT_EQ(reply.fields.count("date"), 1u);
}

TEST_F(HttpTest, ModelMetadataAndReadiness) {
  Start();
  EXPECT_EQ(Ask("GET", "/v2/models/pair").body,
            R"({"name":"pair","versions":["1","7"],"platform":"fakeplugin","inputs":[)"
            R"({"name":"a","datatype":"INT32","shape":[-1]},)"
            R"({"name":"b","datatype":"FP32","shape":[-1,2]},)"
            R"({"name":"c","datatype":"BYTES","shape":[-1]}],"outputs":[)"
            R"({"name":"a","datatype":"INT32","shape":[-1]},)"
            R"({"name":"b","datatype":"FP32","shape":[-1,2]},)"
            R"({"name":"c","datatype":"BYTES","shape":[-1]}]})");
  EXPECT_THAT(Ask("GET", "/v2/models/pair/versions/1").body, HasSubstr(R"("versions":["1"])"));
  EXPECT_EQ(Ask("GET", "/v2/models/pair/versions/9").status, 503);
  EXPECT_EQ(Ask("GET", "/v2/models/pair/versions/3").status, 404);
  EXPECT_EQ(Ask("GET", "/v2/models/none").status, 404);

  EXPECT_EQ(Ask("GET", "/v2/models/pair/ready").body, R"({"name":"pair","ready":true})");
  EXPECT_EQ(Ask("GET", "/v2/models/pair/versions/9/ready").status, 503);
  EXPECT_EQ(Ask("GET", "/v2/models/none/ready").status, 404);
  EXPECT_EQ(Ask("GET", "/v2/models/unloaded/ready").status, 400);

  // Readiness only looks; metadata loads.
  const int before = server_->engine().resolved;
  EXPECT_EQ(Ask("GET", "/v2/models/ondemand/ready").status, 400);
  EXPECT_EQ(server_->engine().resolved, before);
  EXPECT_THAT(Ask("GET", "/v2/models/ondemand").body, HasSubstr(R"("inputs":[{"name":"in")"));
  EXPECT_EQ(server_->engine().resolved, before + 1);
  EXPECT_TRUE(Eventually([&] { return server_->engine().running == 0; }));
}

TEST_F(HttpTest, UnknownPathsAndMethods) {
  Start();
  for (const char* path :
       {"/", "/v1", "/v2/", "/v2/models/", "/v2/models/m/", "/v2/models//ready",
        "/v2/models/m/infer/x", "/v2/models/m/versions", "/v2/models/m/versions/-1",
        "/v2/models/m/versions/1/versions/1", "/v2/health", "/V2", "/v2/models/m/configs",
        "/api/v1/plugin", "//v2", "/v2/a/b/c/d/e/f/g/h/i/j"}) {
    if (std::string_view(path) == "/v2/") continue;
    const Reply reply = Ask("GET", path);
    EXPECT_EQ(reply.status, 404) << path;
    if (std::string_view(path).substr(0, 4) == "/api") {
      EXPECT_THAT(reply.body, HasSubstr(R"({"error":{"code":"NOT_FOUND","message":)"));
    } else {
      EXPECT_EQ(reply.body, R"({"error":"Not Found"})") << path;
    }
  }
  const std::tuple<const char*, const char*, const char*> kWrong[] = {
      {"POST", "/v2", "GET, HEAD"},
      {"DELETE", "/v2/health/live", "GET, HEAD"},
      {"GET", "/v2/models/m/infer", "POST"},
      {"PUT", "/v2/models/m/versions/1/infer", "POST"},
      {"PATCH", "/v2/models/m", "GET, HEAD"},
      {"BREW", "/v2/models/m/ready", "GET, HEAD"},
      {"PUT", "/api/v1/plugins", "GET, HEAD, POST"},
      {"POST", "/api/v1/plugins/p/versions/1.0.0", "GET, HEAD, DELETE"},
  };
  for (const auto& [method, path, allow] : kWrong) {
    const Reply reply = Ask(method, path);
    EXPECT_EQ(reply.status, 405) << method << path;
    EXPECT_EQ(reply.fields.at("allow"), allow) << method << path;
    EXPECT_THAT(reply.body, HasSubstr("\"error\""));
  }
}

TEST_F(HttpTest, NamesThatAreNoTextLeaveTheAnswerValid) {
  Start();
  for (const char* path : {"/v2/models/%ff/ready", "/v2/models/a%c3%28%e2%82",
                           "/v2/models/%ed%a0%80", "/v2/models/%c3%a4/ready"}) {
    const Reply reply = Ask("GET", path);
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_TRUE(simdjson::validate_utf8(reply.body)) << path;
  }
  EXPECT_THAT(Ask("GET", "/v2/models/%c3%a4/ready").body, HasSubstr("'\xc3\xa4'"));
}

TEST_F(HttpTest, HeadAndOptions) {
  Start();
  const Reply get = Ask("GET", "/v2");
  const Reply head = Ask("HEAD", "/v2");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.fields.at("content-length"), std::to_string(get.body.size()));
  EXPECT_EQ(Ask("HEAD", "/nothing").status, 404);
  EXPECT_EQ(Ask("HEAD", "/v2/models/pair").status, 200);
  EXPECT_EQ(Ask("HEAD", "/v2/models/pair/infer").status, 405);
  EXPECT_EQ(Ask("OPTIONS", "/v2/models/pair/infer").fields.at("allow"), "POST");
  EXPECT_EQ(Ask("OPTIONS", "*").status, 200);
  EXPECT_EQ(Ask("GET", "/v2").body, get.body);  // the connection is in step
}

// --------------------------------------------------------------- management

TEST_F(HttpTest, OperationsReachTheControlPath) {
  Start();
  server_->control().set_answer([](const control::Operation& op) {
    control::Outcome outcome;
    outcome.body = boost::json::object{{"kind", static_cast<int>(op.kind)},
                                       {"name", op.name},
                                       {"version", op.version},
                                       {"body", op.body},
                                       {"wait", op.wait}};
    outcome.created = op.kind == control::OperationKind::kRegisterPlugin;
    outcome.accepted = !op.wait;
    return outcome;
  });
  const auto kind = [](control::OperationKind k) { return std::to_string(static_cast<int>(k)); };
  using K = control::OperationKind;
  Reply reply = Ask("POST", "/api/v1/plugins", R"({"path":"/p"})");
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.body, R"({"kind":)" + kind(K::kRegisterPlugin) +
                            R"(,"name":"","version":"","body":{"path":"/p"},"wait":true})");
  reply = Ask("POST", "/api/v1/plugins/onnx%2Drt/versions/1.2.3/load?wait=false");
  EXPECT_EQ(reply.status, 202);
  EXPECT_EQ(reply.body, R"({"kind":)" + kind(K::kLoadPlugin) +
                            R"(,"name":"onnx-rt","version":"1.2.3","body":{},"wait":false})");
  // What cannot be waited for is not accepted, it is done.
  EXPECT_EQ(Ask("GET", "/api/v1/models?wait=false").status, 200);
  reply = Ask("POST", "/api/v1/plugins/p/versions/1.2.3/load?wiat=false");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("no parameter 'wiat' (did you mean 'wait'?) (known: wait)"));
  EXPECT_THAT(Ask("GET", "/api/v1/models?limit=3").body, HasSubstr("takes none in its query"));
  EXPECT_THAT(Ask("POST", "/api/v1/plugins/p/versions/1.2.3/load?wait=maybe").body,
              HasSubstr("'wait' is true or false, not 'maybe'"));
  reply = Ask("POST", "/api/v1/plugins/p/versions/1.2.3/load", R"({"wait":false})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("takes no body"));
  EXPECT_EQ(Ask("POST", "/api/v1/plugins/p/versions/1.2.3/load", "{}").status, 200);
  reply = Ask("DELETE", "/api/v1/models/m/versions/2");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr(kind(K::kRemoveModel)));
  for (const operations::OperationRow& row : operations::Operations()) {
    std::string path(row.http_path);
    for (const char* parameter : {"{name}", "{version}"}) {
      const size_t at = path.find(parameter);
      if (at != std::string::npos) path.replace(at, std::strlen(parameter), "1");
    }
    reply = Ask(row.http_method, path, row.takes_body() ? "{}" : "");
    EXPECT_THAT(reply.body, HasSubstr("{\"kind\":" + kind(row.kind) + ",")) << path;
  }
}

TEST(RouterTest, ParametersOfAQueryAreThoseOfTheRow) {
  using operations::CliForm;
  using operations::In;
  using operations::Need;
  using operations::Type;
  const operations::Field fields[] = {
      {"lines", 1, Type::kInteger, In::kQuery, Need::kOptional, CliForm::kFlag, "How many"},
      {"level", 2, Type::kString, In::kQuery, Need::kOptional, CliForm::kFlag, "Which"},
      {"path", 3, Type::kPath, In::kBody, Need::kOptional, CliForm::kFlag, "Not of the query"}};
  operations::OperationRow row;
  row.fields = fields;
  const auto read = [&row](std::string_view query) {
    boost::json::object members;
    const Status status = ReadQuery(row, query, &members);
    return status.ok() ? boost::json::serialize(members) : std::string(Message(status));
  };
  EXPECT_EQ(read(""), "{}");
  EXPECT_EQ(read("lines=10&&level=a%20b&"), R"({"lines":10,"level":"a b"})");
  EXPECT_EQ(read("lines=10&x=1"), "there is no parameter 'x' (known: lines, level)");
  EXPECT_EQ(read("path=/p"), "there is no parameter 'path' (known: lines, level)");
  EXPECT_EQ(read("lines=1&lines=2"), "parameter 'lines' is given twice");
  EXPECT_EQ(read("lines=ten&level"), R"({"lines":"ten","level":""})");
  EXPECT_EQ(read("level=%zz"), "parameter 'level' is not percent-encoded text");

  Route route;
  FindRoute(Method::kGet, "/api/v1/models?lines=1", &route);
  EXPECT_EQ(route.query, "lines=1");
  FindRoute(Method::kGet, "/api/v1/models", &route);
  EXPECT_EQ(route.query, "");
}

TEST_F(HttpTest, ManagementErrors) {
  Start({.max_management_body_bytes = 1000});
  for (const char* body : {"", "{", "[]", "1", R"({"path":})", "{}x"}) {
    const Reply reply = Ask("POST", "/api/v1/plugins", body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, testing::StartsWith(R"({"error":{"code":"INVALID_ARGUMENT")")) << body;
  }
  const std::string deep = R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_EQ(Ask("POST", "/api/v1/plugins", deep).status, 400);
  EXPECT_EQ(server_->control().applied, 0);

  server_->control().set_answer([](const control::Operation&) {
    control::Outcome outcome;
    outcome.status = FailedPrecondition("it is \"loaded\"");
    outcome.hint = "unload it first";
    return outcome;
  });
  const Reply reply = Ask("DELETE", "/api/v1/plugins/p/versions/1.0.0");
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(reply.body, R"({"error":{"code":"FAILED_PRECONDITION","message":"it is \"loaded\"",)"
                        R"("hint":"unload it first"}})");
  ExpectClosed(Ask("POST", "/api/v1/plugins", std::string(1001, ' ')), 413, "1000 bytes");
}

TEST_F(HttpTest, AnOutcomeForAClientThatLeft) {
  Start({.sweep_ns = kNanosPerMilli});
  server_->control().Open(false);
  client_->Send(Post("/api/v1/plugins", R"({"path":"/p"})"));
  ASSERT_TRUE(Eventually([&] { return server_->control().applied == 1; }));
  client_->Close();
  ASSERT_TRUE(Eventually([&] { return server_->connections() == 0; }));
  server_->control().Open(true);
  // The operation is done all the same and the server goes on.
  EXPECT_EQ(TestClient(server_->address()).Ask("GET", "/api/v1/status").status, 200);
}

TEST_F(HttpTest, AnOutcomeAfterTheServer) {
  Start();
  server_->control().Open(false);
  client_->Send(Post("/api/v1/plugins", R"({"path":"/p"})"));
  ASSERT_TRUE(Eventually([&] { return server_->control().applied == 1; }));
  server_.reset();  // with the operation waiting
  EXPECT_EQ(client_->Read().status, 0);
}

TEST_F(HttpTest, PagesOfOtherSitesCannotAct) {
  Start();
  EXPECT_EQ(Ask("POST", "/api/v1/plugins", "{}", "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(Ask("POST", "/api/v1/plugins", "{}", "Origin: null\r\n").status, 403);
  EXPECT_EQ(Ask("POST", "/v2/models/id_FP32/infer", kInfer, "Origin: http://evil\r\n").status, 403);
  const auto from_page = [&](const std::string& host) {
    return Say("POST /api/v1/plugins HTTP/1.1\r\nHost: " + host + "\r\nOrigin: http://" + host +
               "\r\nContent-Length: 2\r\n\r\n{}")
        .status;
  };
  for (const char* host : {"localhost", "localhost:8080", "LocalHost:8080", "127.0.0.1:8080",
                           "[::1]:8080", "192.0.2.7"}) {
    EXPECT_EQ(from_page(host), 200) << host;
  }
  // Names that whoever owns them can point at this machine.
  for (const char* host : {"evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
                           "1", "", "[::1].evil.example"}) {
    EXPECT_EQ(from_page(host), 403) << host;
  }
  // Programs other than browsers send no Origin and may call it what they like.
  EXPECT_EQ(Ask("POST", "/api/v1/plugins", "{}").status, 200);
  EXPECT_EQ(Ask("GET", "/v2", "", "Origin: http://evil.example\r\n").status, 200);
}

// ---------------------------------------------------------------- transport

TEST_F(HttpTest, OneByteAtATime) {
  Start();
  const std::string request = Post("/v2/models/id_FP32/infer", kInfer);
  for (int round = 0; round < 2; ++round) {
    for (const char c : request) ASSERT_TRUE(client_->Send({&c, 1}));
    EXPECT_EQ(client_->Read().status, 200);
  }
}

TEST_F(HttpTest, Pipelining) {
  Start();
  std::string many;
  for (int i = 0; i < 300; ++i) {
    many += Post(i % 3 == 0 ? "/v2/models/later/infer" : "/v2/models/id_FP32/infer", kInfer);
    many += "GET /v2/health/live HTTP/1.1\r\nHost: t\r\n\r\n";
  }
  std::thread writer([&] { client_->Send(many); });
  for (int i = 0; i < 300; ++i) {
    ASSERT_THAT(client_->Read().body, HasSubstr("\"data\":[7.0]")) << i;
    ASSERT_EQ(client_->Read().body, R"({"live":true})") << i;
  }
  writer.join();
}

TEST_F(HttpTest, ChunkedBodies) {
  Start();
  const std::string head =
      "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string body;
  for (const char c : kInfer) body += "1\r\n" + std::string(1, c) + "\r\n";
  client_->Send(head + body + "0\r\n\r\n");
  EXPECT_EQ(client_->Read().status, 200);
  // Extensions and trailers are read over, and the next request follows.
  char size[16];
  std::snprintf(size, sizeof(size), "%zx", kInfer.size());
  client_->Send(head + size + ";a=b;c=\"d\"\r\n" + std::string(kInfer) + "\r\n0\r\nX: y\r\n\r\n" +
                "GET /v2 HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client_->Read().status, 200);
  EXPECT_EQ(client_->Read().status, 200);
  // Byte for byte.
  const std::string whole = head + size + "\r\n" + std::string(kInfer) + "\r\n0\r\n\r\n";
  for (const char c : whole) ASSERT_TRUE(client_->Send({&c, 1}));
  EXPECT_EQ(client_->Read().status, 200);
}

TEST_F(HttpTest, LargeChunkedBody) {
  Start();
  std::string data = "[0";
  for (int i = 1; i < 100000; ++i) data += ",1";
  data += "]";
  const std::string json =
      R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[100000],"data":)" + data + "}]}";
  std::string request =
      "POST /v2/models/id_UINT8/infer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
  char size[16];
  for (size_t at = 0; at < json.size(); at += 7777) {
    const std::string piece = json.substr(at, 7777);
    std::snprintf(size, sizeof(size), "%zX\r\n", piece.size());
    request += size + piece + "\r\n";
  }
  request += "0\r\n\r\n";
  client_->Send(request);
  const Reply reply = client_->Read();
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr(data));
}

TEST_F(HttpTest, MessagesWithTwoReadingsAreRefused) {
  Start();
  const std::string start = "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\n";
  const std::pair<std::string, std::string> kBad[] = {
      {start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "Content-Length"},
      {start + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "Content-Length"},
      {start + "Content-Length: 5, 5\r\n\r\n", "Content-Length"},
      {start + "Content-Length: +5\r\n\r\n", "Content-Length"},
      {start + "Content-Length: -5\r\n\r\n", "Content-Length"},
      {start + "Content-Length: 5x\r\n\r\n", "Content-Length"},
      {start + "Content-Length: 0x5\r\n\r\n", "Content-Length"},
      {start + "Content-Length:\r\n\r\n", "Content-Length"},
      {start + "Content-Length: 99999999999999999999\r\n\r\n", "Content-Length"},
      {start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding"},
      {start + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "Content-Length"},
      {start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       "Transfer-Encoding"},
      {start + "Host: u\r\n\r\n", "Host"},
      {"GET /v2 HTTP/1.1\r\n\r\n", "Host"},
      {"POST /v2 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
      {start + "X: a\r\n b\r\n\r\n", "folded"},
      {start + "Host : t\r\n\r\n", "not an HTTP"},
      {start + " X: t\r\n\r\n", ""},
      {start + "X\r\n\r\n", "not an HTTP"},
      {"GET\r\n\r\n", "not an HTTP"},
      {"GET  /v2 HTTP/1.1\r\n\r\n", "not an HTTP"},
      {"\x16\x03\x01\x02\x01", "not an HTTP"},
      {start + "X: \x01\r\n\r\n", "not an HTTP"},
  };
  for (const auto& [bytes, text] : kBad) {
    SCOPED_TRACE(bytes);
    ExpectClosed(Say(bytes), 400, text);
  }
  ExpectClosed(Say(start + "Transfer-Encoding: gzip\r\n\r\n"), 501, "Transfer-Encoding");
  ExpectClosed(Say(start + "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501, "Transfer-Encoding");
  ExpectClosed(Say(start + "Transfer-Encoding: xchunked\r\n\r\n"), 501, "Transfer-Encoding");
  ExpectClosed(Say(start + "Expect: a miracle\r\n\r\n"), 417, "100-continue");
  ExpectClosed(Say("GET /v2 HTTP/2.0\r\n\r\n"), 505, "HTTP/1.1");
  ExpectClosed(Say("GET /v2 HTTP/1.1 \r\n\r\n"), 505, "HTTP/1.1");
  ExpectClosed(Say(start + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n"), 400,
               "Content-Length");
  for (const char* chunk :
       {"x\r\n", "1\r\nabcd\r\n", "-1\r\n", "1 \r\na\r\n", "\r\n", "ffffffffffffffffff\r\n"}) {
    SCOPED_TRACE(chunk);
    ExpectClosed(Say(start + "Transfer-Encoding: chunked\r\n\r\n" + chunk), 400, "chunk");
  }
  EXPECT_EQ(Ask("GET", "/v2").status, 200);
}

TEST_F(HttpTest, KeepAliveAndItsEnd) {
  Start();
  EXPECT_EQ(Ask("GET", "/v2").fields.count("connection"), 0u);
  EXPECT_EQ(Ask("GET", "/v2", "", "Connection: close\r\n").fields.at("connection"), "close");
  EXPECT_TRUE(client_->AtEnd());

  Reply reply = Say("GET /v2 HTTP/1.0\r\n\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.fields.at("connection"), "close");

  TestClient old(server_->address());
  for (int i = 0; i < 2; ++i) {
    old.Send("GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(old.Read().fields.at("connection"), "keep-alive");
  }
  // An empty line too many between requests.
  old.Send("\r\n\r\nGET /v2 HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(old.Read().status, 200);
}

TEST_F(HttpTest, ExpectContinue) {
  Start();
  const std::string head = "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                           std::to_string(kInfer.size()) + "\r\nExpect: 100-continue\r\n\r\n";
  client_->Send(head);
  EXPECT_EQ(client_->Read().status, 100);
  client_->Send(kInfer);
  EXPECT_EQ(client_->Read().status, 200);
  client_->Send(
      "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
      "Expect: 100-Continue\r\n\r\n");
  EXPECT_EQ(client_->Read().status, 100);
  client_->Send("0\r\n\r\n");
  EXPECT_EQ(client_->Read().status, 400);
  // With the body on its way nothing needs to be said.
  client_->Send(head + std::string(kInfer));
  EXPECT_EQ(client_->Read().status, 200);
}

// ------------------------------------------------------------------- limits

TEST_F(HttpTest, LargeHeaders) {
  Start();
  EXPECT_EQ(Ask("GET", "/v2", "", "X: " + std::string(15000, 'x') + "\r\n").status, 200);
  ExpectClosed(Say("GET /v2 HTTP/1.1\r\nHost: t\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"),
               431, "header");
  ExpectClosed(Say("GET /" + std::string(40000, 'x') + " HTTP/1.1\r\n\r\n"), 431, "header");
  std::string many = "GET /v2 HTTP/1.1\r\nHost: t\r\n";
  for (int i = 0; i < 5000; ++i) many += "X: y\r\n";
  ExpectClosed(Say(many + "\r\n"), 431, "header");
}

TEST_F(HttpTest, LargeBodies) {
  Start({.max_body_bytes = 100000});
  const std::string start = "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\n";
  ExpectClosed(Say(start + "Content-Length: 100001\r\n\r\n"), 413, "100000");
  ExpectClosed(Say(start + "Content-Length: 18446744073709551615\r\n\r\n"), 413, "100000");
  ExpectClosed(Say(start + "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n"), 413,
               "100000");
  ExpectClosed(Say(start + "Transfer-Encoding: chunked\r\n\r\n186a1\r\n"), 413, "100000");
  ExpectClosed(Say(start + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"), 413,
               "100000");
  // The refusal arrives although the client is in the middle of sending.
  ExpectClosed(Say(start + "Content-Length: 2000000\r\n\r\n" + std::string(500000, ' ')), 413,
               "100000");
  // Where no body belongs a small one is read over, a large one is refused.
  EXPECT_EQ(Ask("GET", "/v2", std::string(60000, 'x')).status, 200);
  EXPECT_EQ(Ask("POST", "/nothing", std::string(60000, 'x')).status, 404);
  ExpectClosed(Say(Post("/nothing", std::string(70000, 'x'))), 404, "Not Found");
  // Every size around the input buffer's.
  for (size_t pad = 32000; pad < 33000; pad += 37) {
    ASSERT_EQ(
        Ask("POST", "/v2/models/id_FP32/infer", std::string(kInfer) + std::string(pad, ' ')).status,
        200)
        << pad;
  }
}

TEST_F(HttpTest, TooManyChunks) {
  Start({.max_chunks = 10});
  std::string request =
      "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 12; ++i) request += "1\r\n \r\n";
  ExpectClosed(Say(request), 413, "pieces");
}

// What has arrived counts, and what is only claimed does not.
TEST_F(HttpTest, BufferedBytesAreLimitedTogether) {
  constexpr size_t kBytes = 200000;
  Start({.max_buffered_bytes = 300000});
  const std::string head =
      "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
      "Content-Length: " +
      std::to_string(kBytes) + "\r\n\r\n";
  const std::string body = std::string(kInfer) + std::string(kBytes - kInfer.size(), ' ');
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<TestClient>(server_->address()));
    clients.back()->Send(head);
    ASSERT_EQ(clients.back()->Read().status, 100) << i;
    clients.back()->Send(body.substr(0, 60000));  // holds nothing that is counted
  }
  // One gets what it sends for, all but the last byte; for another there is not enough.
  clients[0]->Send(body.substr(60000, kBytes - 60001));
  ASSERT_TRUE(Eventually([&] {
    const uint64_t sent = 100 * (head.size() + 60000) + kBytes - 60001;
    return server_->server().counters().received_bytes.value() == sent;
  }));
  clients[1]->Send(body.substr(60000, kBytes - 60001));
  const Reply refused = clients[1]->Read();
  ExpectClosed(refused, 503, "too many large requests");
  EXPECT_EQ(refused.fields.at("retry-after"), "1");
  clients[0]->Send(" ");
  EXPECT_EQ(clients[0]->Read().status, 200);
  clients[0].reset();
  EXPECT_TRUE(Eventually([&] { return server_->connections() <= 99; }));
  clients[2]->Send(body.substr(60000));
  EXPECT_EQ(clients[2]->Read().status, 200);
}

TEST_F(HttpTest, MemoryKeptByConnectionsIsLimitedToo) {
  constexpr uint64_t kMost = 8 << 20;
  Start({.max_buffered_bytes = kMost});
  const std::string large =
      Post("/v2/models/id_FP32/infer", std::string(kInfer) + std::string(1 << 20, ' '));
  const auto allocated = [] {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const size_t before = allocated();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<TestClient>(server_->address()));
    clients.back()->Send(large);
    ASSERT_EQ(clients.back()->Read().status, 200) << i;
    clients.back()->Send("G");  // from now on it is not idle
  }
  EXPECT_LT(allocated(), before + 3 * kMost);
}

TEST_F(HttpTest, RequestsOfManyTensorsLeaveNoMemoryBehind) {
  constexpr uint64_t kMost = 8 << 20;
  Start({.max_buffered_bytes = kMost});
  std::string body = R"({"inputs":[)";
  for (int i = 0; i < 4096; ++i) body += R"({"name":"x","datatype":"FP32","shape":[0],"data":[]},)";
  body.back() = ']';
  // One is refused against the model, the other for what it says itself.
  const std::string requests[] = {Post("/v2/models/id_FP32/infer", body + "}"),
                                  Post("/v2/models/id_FP32/infer", body + R"(,"outputs":1})")};
  const auto allocated = [] {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const size_t before = allocated();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<TestClient>(server_->address()));
    clients.back()->Send(requests[i % 2]);
    ASSERT_EQ(clients.back()->Read().status, 400) << i;
  }
  EXPECT_LT(allocated(), before + 3 * kMost);
}

TEST_F(HttpTest, TooManyConnections) {
  Start({.max_connections = 2});
  TestClient second(server_->address());
  EXPECT_EQ(second.Ask("GET", "/v2").status, 200);
  TestClient third(server_->address());
  const Reply reply = third.Read();
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(reply.body, HasSubstr("too many connections"));
  EXPECT_TRUE(third.AtEnd());
  second.Close();
  ASSERT_TRUE(Eventually([&] { return server_->connections() <= 1; }));
  EXPECT_EQ(TestClient(server_->address()).Ask("GET", "/v2").status, 200);
}

TEST_F(HttpTest, SlowClients) {
  constexpr uint64_t kShort = 50 * kNanosPerMilli;
  Start({.idle_timeout_ns = 4 * kShort,
         .header_timeout_ns = kShort,
         .transfer_timeout_ns = kShort,
         .min_bytes_per_second = 1 << 30,
         .sweep_ns = 5 * kNanosPerMilli});
  TestClient idle(server_->address());
  ExpectClosed(Say("GET /v2 HT"), 408, "too long");
  ExpectClosed(
      Say("POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n1"), 408,
      "too long");
  ExpectClosed(
      Say("POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5\r\n1"),
      408, "too long");
  ExpectClosed(
      Say("POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n1"),
      408, "too long");
  EXPECT_TRUE(idle.AtEnd());  // closed without a word
}

TEST_F(HttpTest, AClientThatDoesNotRead) {
  Start({.transfer_timeout_ns = 500 * kNanosPerMilli,
         .min_bytes_per_second = uint64_t{1} << 40,
         .sweep_ns = 5 * kNanosPerMilli});
  // As JSON the answer is four times the request: more than the sockets hold.
  const std::string blob(4 << 20, '\xff');
  const std::string json = R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[4194304],)"
                           R"("parameters":{"binary_data_size":4194304}}]})";
  client_->Send(Post("/v2/models/id_UINT8/infer", json + blob,
                     "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n"));
  ASSERT_TRUE(Eventually([&] { return server_->engine().submitted == 1; }));
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(server_->engine().running, 0);
}

// ------------------------------------------------------- leaving, and ending

TEST_F(HttpTest, AClientThatLeavesCancelsItsInference) {
  Start({.sweep_ns = 5 * kNanosPerMilli});
  client_->Send(Post("/v2/models/hang/infer", kInfer));
  ASSERT_TRUE(Eventually([&] { return server_->engine().submitted == 1; }));
  EXPECT_EQ(server_->engine().running, 1);
  client_->Close();
  EXPECT_TRUE(Eventually([&] { return server_->engine().running == 0; }));
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpTest, AClientThatLeavesInMidRequest) {
  Start();
  const std::string request = Post("/v2/models/id_FP32/infer", kInfer);
  for (const size_t cut :
       {size_t{1}, size_t{20}, request.size() - kInfer.size(), request.size() - 1}) {
    TestClient client(server_->address());
    client.Send(request.substr(0, cut));
    client.Close();
  }
  client_->Close();
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(server_->engine().submitted, 0);
}

TEST_F(HttpTest, DrainingLetsRunningRequestsEnd) {
  Start();
  server_->control().Open(false);
  TestClient busy(server_->address());
  busy.Send(Post("/api/v1/plugins", R"({"path":"/p"})"));
  ASSERT_TRUE(Eventually([&] { return server_->control().applied == 1; }));
  EXPECT_EQ(Ask("GET", "/v2").status, 200);
  std::atomic<bool> drained{false};
  server_->OnLoop([&] { server_->server().Drain([&] { drained = true; }); });
  EXPECT_TRUE(client_->AtEnd());  // it was idle
  const auto ask = [&](std::string_view method, std::string_view path, std::string_view body = {}) {
    TestClient client(server_->address());
    Reply reply = client.Ask(method, path, body);
    EXPECT_EQ(reply.fields.at("connection"), "close") << path;
    EXPECT_TRUE(client.AtEnd()) << path;
    return reply;
  };
  EXPECT_EQ(ask("GET", "/v2").status, 503);
  EXPECT_EQ(ask("POST", "/v2/models/id_FP32/infer", kInfer).status, 503);
  const Reply management = ask("POST", "/api/v1/plugins", R"({"path":"/p"})");
  EXPECT_EQ(management.status, 503);
  EXPECT_THAT(management.body, testing::HasSubstr("UNAVAILABLE"));
  EXPECT_EQ(ask("GET", "/v2/health/ready").status, 503);
  EXPECT_EQ(ask("GET", "/v2/health/live").status, 200);  // nobody is to kill it now
  EXPECT_EQ(server_->control().applied, 1);
  TestClient silent(server_->address());  // does not hold up the drain
  EXPECT_FALSE(drained);
  server_->control().Open(true);
  const Reply reply = busy.Read();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.fields.at("connection"), "close");
  busy.Close();
  EXPECT_TRUE(Eventually([&] { return drained.load(); }));
}

TEST_F(HttpTest, WhatWasSentBeforeTheDrainIsAnswered) {
  Start();
  std::atomic<bool> drained{false};
  std::optional<TestClient> waits;
  server_->OnLoop([&] {
    client_->Send(Post("/v2/models/id_FP32/infer", kInfer));  // not read yet
    waits.emplace(server_->address());                        // not even accepted
    waits->Send(Post("/v2/models/id_FP32/infer", kInfer));
    server_->server().Drain([&] { drained = true; });
  });
  EXPECT_EQ(client_->Read().status, 200);
  EXPECT_EQ(waits->Read().status, 200);
  EXPECT_TRUE(waits->AtEnd());
  EXPECT_TRUE(Eventually([&] { return drained.load(); }));
}

TEST_F(HttpTest, WhoHasConnectedBeforeTheDrainAndAsksLateIsTold) {
  Start();
  server_->control().Open(false);
  TestClient busy(server_->address());
  busy.Send(Post("/api/v1/plugins", R"({"path":"/p"})"));
  ASSERT_TRUE(Eventually([&] { return server_->control().applied == 1; }));
  TestClient slow(server_->address());
  ASSERT_TRUE(Eventually([&] { return server_->connections() == 3; }));
  std::atomic<bool> drained{false};
  server_->OnLoop([&] { server_->server().Drain([&] { drained = true; }); });
  ASSERT_TRUE(
      Eventually([&] { return TestClient(server_->address()).Ask("GET", "/v2").status == 503; }));
  EXPECT_EQ(slow.Ask("GET", "/v2").status, 503);
  EXPECT_FALSE(drained);
  server_->control().Open(true);
  EXPECT_EQ(busy.Read().status, 200);
  EXPECT_TRUE(Eventually([&] { return drained.load(); }));
}

TEST_F(HttpTest, LeavingItIsNotReadyAndStillAnswers) {
  Start();
  server_->OnLoop([&] { server_->server().Leave(); });
  EXPECT_EQ(Ask("GET", "/v2/health/ready").status, 503);
  EXPECT_TRUE(client_->AtEnd());
  const Reply answer =
      TestClient(server_->address()).Ask("POST", "/v2/models/id_FP32/infer", kInfer);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.fields.at("connection"), "close");
}

// What is set reaches the structure, and what is not set is the table's default there.
TEST(HttpOptionsTest, ComeFromTheSettings) {
  const HttpOptions defaults;
  const HttpOptions same = OptionsFrom(options::Settings());
  EXPECT_EQ(defaults.max_buffered_bytes, same.max_buffered_bytes);
  EXPECT_EQ(defaults.transfer_timeout_ns, same.transfer_timeout_ns);
  options::Settings settings;
  uint64_t next = 7;
  for (const options::Row& row : options::Table()) settings.at(row.id).value.number = next++;
  const HttpOptions o = OptionsFrom(settings);
  EXPECT_EQ(o.max_header_bytes, settings.Number(Id::kHttpMaxHeader));
  EXPECT_EQ(o.max_body_bytes, settings.Number(Id::kHttpMaxBody));
  EXPECT_EQ(o.max_management_body_bytes, settings.Number(Id::kHttpMaxManagementBody));
  EXPECT_EQ(o.max_buffered_bytes, settings.Number(Id::kHttpMaxBuffered));
  EXPECT_EQ(o.max_json_response_bytes, settings.Number(Id::kHttpMaxJsonResponse));
  EXPECT_EQ(o.max_ratio, settings.Number(Id::kHttpMaxRatio));
  EXPECT_EQ(o.compress_from_bytes, settings.Number(Id::kHttpCompressFrom));
  EXPECT_EQ(o.max_chunks, settings.Number(Id::kHttpMaxChunks));
  EXPECT_EQ(o.max_connections, settings.Number(Id::kHttpMaxConnections));
  EXPECT_EQ(o.max_connections_per_address, settings.Number(Id::kHttpMaxConnectionsPerAddress));
  EXPECT_EQ(o.max_tensors, settings.Number(Id::kHttpMaxTensors));
  EXPECT_EQ(o.max_json_depth, settings.Number(Id::kHttpMaxJsonDepth));
  EXPECT_EQ(o.idle_timeout_ns, settings.Nanos(Id::kHttpIdleTimeout));
  EXPECT_EQ(o.header_timeout_ns, settings.Nanos(Id::kHttpHeaderTimeout));
  EXPECT_EQ(o.transfer_timeout_ns, settings.Nanos(Id::kHttpTransferTimeout));
  EXPECT_EQ(o.min_bytes_per_second, settings.Number(Id::kHttpMinRate));
  EXPECT_EQ(o.linger_ns, settings.Nanos(Id::kHttpLinger));
  EXPECT_EQ(o.default_deadline_ns, settings.Nanos(Id::kDefaultDeadline));
  EXPECT_EQ(o.max_deadline_ns, settings.Nanos(Id::kMaxDeadline));
}

TEST_F(HttpTest, DrainingWithNobodyThere) {
  Start();
  client_->Close();
  ASSERT_TRUE(Eventually([&] { return server_->connections() == 0; }));
  std::atomic<bool> drained{false};
  server_->OnLoop([&] { server_->server().Drain([&] { drained = true; }); });
  EXPECT_TRUE(Eventually([&] { return drained.load(); }));
}

TEST_F(HttpTest, DestroyedWithRequestsRunning) {
  Start();
  client_->Send(Post("/v2/models/hang/infer", kInfer));
  ASSERT_TRUE(Eventually([&] { return server_->engine().submitted == 1; }));
  server_.reset();
  EXPECT_EQ(client_->Read().status, 0);
}

// ---------------------------------------------------------------- listeners

TEST_F(HttpTest, SeveralListeners) {
  Start();
  const std::string path =
      (std::filesystem::temp_directory_path() / ("mlos_http_" + std::to_string(::getpid())))
          .string();
  std::string unix_address;
  std::string v6_address;
  server_->OnLoop([&] {
    unix_address = server_->server().Listen("unix:" + path).value();
    v6_address = server_->server().Listen("[::1]:0").value_or("");
    EXPECT_FALSE(server_->server().Listen("unix:" + path).ok());      // another listens
    EXPECT_FALSE(server_->server().Listen(server_->address()).ok());  // in use
  });
  EXPECT_EQ(unix_address, "unix:" + path);
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(TestClient(unix_address).Ask("GET", "/v2").status, 200);
  if (!v6_address.empty()) {
    EXPECT_THAT(v6_address, testing::StartsWith("[::1]:"));
    EXPECT_EQ(TestClient(v6_address).Ask("GET", "/v2").status, 200);
  }
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(HttpTest, AStaleSocketFileIsReplacedAndOtherFilesAreNot) {
  Start();
  const std::string path =
      (std::filesystem::temp_directory_path() / ("mlos_stale_" + std::to_string(::getpid())))
          .string();
  {
    // Bound and closed: the file stays, nobody answers.
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path.c_str(), sizeof(to.sun_path) - 1);
    const OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  }
  server_->OnLoop([&] { EXPECT_TRUE(server_->server().Listen("unix:" + path).ok()); });
  EXPECT_EQ(TestClient("unix:" + path).Ask("GET", "/v2").status, 200);
  server_->OnLoop([&] {
    EXPECT_EQ(server_->server().Listen("unix:/dev/null").status().code(),
              StatusCode::kFailedPrecondition);
  });
}

TEST_F(HttpTest, BadAddresses) {
  Start();
  server_->OnLoop([&] {
    for (const char* address :
         {"", "8080", ":8080", "localhost", "localhost:", "localhost:x", "localhost:65536",
          "::1:80", "[::1]", "[]:80", "[::1:80", "unix:", "127.0.0.1:80x"}) {
      EXPECT_EQ(server_->server().Listen(address).status().code(), StatusCode::kInvalidArgument)
          << address;
    }
    EXPECT_FALSE(server_->server().Listen("unix:/" + std::string(200, 'x')).ok());
  });
  EXPECT_TRUE(CheckLocalAddress("127.0.0.1:1").ok());
  EXPECT_TRUE(CheckLocalAddress("[::1]:1").ok());
  EXPECT_TRUE(CheckLocalAddress("unix:/x").ok());
  EXPECT_FALSE(CheckLocalAddress("0.0.0.0:1").ok());
  EXPECT_FALSE(CheckLocalAddress("[::]:1").ok());
  EXPECT_FALSE(CheckLocalAddress("192.0.2.1:1").ok());
  EXPECT_FALSE(CheckLocalAddress("*:1").ok());
  EXPECT_FALSE(CheckLocalAddress("nonsense").ok());
}

}  // namespace
}  // namespace mlos::http
