// SPDX-License-Identifier: Apache-2.0
//
// The repository extension over HTTP: what is asked of the control path, and
// what the client is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <mutex>

#include "frontends/http/http_fakes.h"
#include "repository/given.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using control::OperationKind;
using testing::HasSubstr;

class RepositoryHttpTest : public testing::Test {
 protected:
  RepositoryHttpTest() {
    server_.control().set_answer([this](const control::Operation& operation) {
      const std::lock_guard lock(mutex_);
      asked_.push_back(operation);
      control::Outcome outcome;
      outcome.status = answer_;
      return outcome;
    });
  }
  Reply Post(std::string_view path, std::string_view body = {}) {
    return client_.Ask("POST", path, body);
  }
  void ExpectRefused(int status, std::string_view text, const Reply& reply) {
    EXPECT_EQ(status, reply.status) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr(std::string(text)));
  }
  std::vector<control::Operation> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  std::mutex mutex_;
  std::vector<control::Operation> asked_;
  Status answer_;
  TestServer server_;
  TestClient client_{server_.address()};
};

TEST_F(RepositoryHttpTest, TheIndexHasOneEntryForEachVersion) {
  std::map<std::string, std::string> states;
  for (const char* body : {"", "{}", R"({"ready":false})"}) {
    const Reply reply = Post("/v2/repository/index", body);
    ASSERT_EQ(200, reply.status) << reply.body;
    const json::value index = json::parse(reply.body);
    for (const json::value& entry : index.as_array()) {
      const std::string name = entry.at("name").as_string().c_str();
      states[name + " " + entry.at("version").as_string().c_str()] =
          entry.at("state").as_string().c_str();
    }
  }
  EXPECT_EQ("READY", states["pair 7"]);
  EXPECT_EQ("UNAVAILABLE", states["pair 9"]);
  EXPECT_EQ("UNAVAILABLE", states["unloaded 1"]);
  EXPECT_THAT(Post("/v2/repository/index").body, HasSubstr(R"("reason":"unloaded")"));
}

TEST_F(RepositoryHttpTest, TheIndexOfWhatIsReady) {
  const Reply reply = Post("/v2/repository/index", R"({"ready":true})");
  const json::value index = json::parse(reply.body);
  for (const json::value& entry : index.as_array()) {
    EXPECT_EQ("READY", entry.at("state").as_string());
    EXPECT_FALSE(entry.as_object().contains("reason"));
  }
  ExpectRefused(400, "ready", Post("/v2/repository/index", R"({"ready":"yes"})"));
  ExpectRefused(400, "JSON", Post("/v2/repository/index", "{"));
  ExpectRefused(400, "object", Post("/v2/repository/index", "[]"));
}

TEST_F(RepositoryHttpTest, LoadAndUnloadGoToTheControlPath) {
  for (const char* body : {"", "{}", R"({"parameters":{}})", R"({"parameters":null})"}) {
    const Reply reply = Post("/v2/repository/models/a%20b/load", body);
    EXPECT_EQ(200, reply.status) << reply.body;
    EXPECT_EQ("", reply.body);
  }
  for (const char* body : {"", R"({"parameters":{"unload_dependents":true}})"}) {
    const Reply reply = Post("/v2/repository/models/c/unload", body);
    EXPECT_EQ(200, reply.status) << reply.body;
    EXPECT_EQ("", reply.body);
  }
  const auto operations = asked();
  ASSERT_EQ(6u, operations.size());
  EXPECT_EQ(OperationKind::kLoadModelVersions, operations[0].kind);
  EXPECT_EQ("a b", operations[0].name);
  EXPECT_EQ(OperationKind::kUnloadModelVersions, operations[5].kind);
  EXPECT_EQ("c", operations[5].name);
}

TEST_F(RepositoryHttpTest, WhatALoadBringsAlongGoesWithIt) {
  EXPECT_EQ(200, Post("/v2/repository/models/m/load",
                      R"({"parameters":{"config":"{\"max_batch_size\":8}"}})")
                     .status);
  EXPECT_EQ(200, Post("/v2/repository/models/m/load",
                      R"({"parameters":{"file:2/model.onnx":"AP8=","config":"{}",)"
                      R"("file:labels.txt":""}})")
                     .status);
  const auto operations = asked();
  ASSERT_EQ(2u, operations.size());
  ASSERT_NE(nullptr, operations[0].given);
  EXPECT_EQ(R"({"max_batch_size":8})", operations[0].given->config);
  EXPECT_TRUE(operations[0].given->files.empty());
  ASSERT_NE(nullptr, operations[1].given);
  ASSERT_EQ(2u, operations[1].given->files.size());
  EXPECT_EQ("2/model.onnx", operations[1].given->files[0].path);
  EXPECT_EQ("AP8=", operations[1].given->files[0].content);
  EXPECT_TRUE(operations[1].given->files[0].base64);
  EXPECT_EQ("labels.txt", operations[1].given->files[1].path);
  EXPECT_EQ("", operations[1].given->files[1].content);
}

TEST_F(RepositoryHttpTest, WhatControlRefusesIsRefusedInTheProtocolsForm) {
  answer_ = NotFound("there is no model x");
  const Reply reply = Post("/v2/repository/models/x/load");
  EXPECT_EQ(404, reply.status);
  EXPECT_EQ(R"({"error":"there is no model x"})", reply.body);
  answer_ = Unavailable("it failed to load");
  ExpectRefused(503, "it failed to load", Post("/v2/repository/models/x/load"));
}

TEST_F(RepositoryHttpTest, BadParametersReachNobody) {
  ExpectRefused(400, "'what'",
                Post("/v2/repository/models/x/load", R"({"parameters":{"what":1}})"));
  ExpectRefused(400, "object", Post("/v2/repository/models/x/load", R"({"parameters":[]})"));
  ExpectRefused(400, "unload_dependents",
                Post("/v2/repository/models/x/unload", R"({"parameters":{"what":1}})"));
  ExpectRefused(
      400, "boolean",
      Post("/v2/repository/models/x/unload", R"({"parameters":{"unload_dependents":1}})"));
  const std::pair<const char*, const char*> bad[] = {
      {R"({"config":{}})", "config"},
      {R"({"config":""})", "empty"},
      {R"({"file:1/model.onnx":"AAAA"})", "without"},
      {R"({"config":"{}","file:1/model.onnx":7})", "file:1/model.onnx"},
      {R"({"config":"{}","file:../model.onnx":"AAAA"})", "../model.onnx"},
      {R"({"config":"{}","file:/etc/passwd":"AAAA"})", "/etc/passwd"},
      {R"({"config":"{}","file:config.pbtxt":"AAAA"})", "config.pbtxt"},
      {R"({"config":"{}","files":"AAAA"})", "files"},
  };
  for (const auto& [parameters, text] : bad) {
    ExpectRefused(
        400, text,
        Post("/v2/repository/models/x/load", std::string(R"({"parameters":)") + parameters + "}"));
  }
  EXPECT_TRUE(asked().empty());
}

TEST_F(RepositoryHttpTest, AnotherRepositoryIsNotSupported) {
  ExpectRefused(501, "'r'", Post("/v2/repository/r/index"));
  ExpectRefused(501, "'r'", Post("/v2/repository/r/models/m/load"));
  ExpectRefused(501, "'models'", Post("/v2/repository/models/index"));
  EXPECT_TRUE(asked().empty());
}

}  // namespace
}  // namespace mlos::http
