// SPDX-License-Identifier: Apache-2.0
//
// Every path below /v2 with every method, for a model that serves, one that
// does not, one that there is not, and versions of each kind: the status, the
// form of the body and what Allow says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "frontends/http/http_fakes.h"

namespace mlos::http {
namespace {

namespace json = boost::json;

// How a body looks.
enum class Form { kNothing, kObject, kArray, kError };

Form FormOf(const Reply& reply) {
  if (reply.body.empty()) return Form::kNothing;
  json::error_code error;
  const json::value value = json::parse(reply.body, error);
  if (error) return Form::kNothing;
  if (value.is_array()) return Form::kArray;
  const json::value* text = value.is_object() ? value.get_object().if_contains("error") : nullptr;
  return text != nullptr && text->is_string() && !text->get_string().empty() ? Form::kError
                                                                             : Form::kObject;
}

// What stands for {m} and {v}; a path without them has only the first column.
enum Case { kOk, kUnknownModel, kUnknownVersion, kNotReady, kNotReadyVersion, kCases };
struct Target {
  const char* model;
  const char* version;
};
constexpr Target kTargets[kCases] = {
    {"pair", "7"}, {"none", "1"}, {"pair", "3"}, {"unloaded", "1"}, {"pair", "9"}};

struct Row {
  const char* path;
  const char* method;
  const char* body;
  Form form;             // of success
  int statuses[kCases];  // where the path has no {v}, the columns of versions are not looked at
};

constexpr const char* kInferBody =
    R"({"inputs":[{"name":"a","datatype":"INT32","shape":[1],"data":[7]},)"
    R"({"name":"b","datatype":"FP32","shape":[1,2],"data":[1,2]}]})";

constexpr const char* kGenerateBody = R"({"a":7,"parameters":{"b":[1,2]}})";

// What becomes of a model that is to be loaded is the control path's to say,
// which agrees to everything here.
constexpr Row kRows[] = {
    {"/v2", "GET", "", Form::kObject, {200}},
    {"/v2/health/live", "GET", "", Form::kObject, {200}},
    {"/v2/health/ready", "GET", "", Form::kObject, {200}},
    {"/v2/models", "GET", "", Form::kObject, {200}},
    {"/v2/models/stats", "GET", "", Form::kObject, {200}},
    {"/v2/models/{m}", "GET", "", Form::kObject, {200, 404, 0, 503, 0}},
    {"/v2/models/{m}/versions/{v}", "GET", "", Form::kObject, {200, 404, 404, 503, 503}},
    {"/v2/models/{m}/ready", "GET", "", Form::kObject, {200, 404, 0, 400, 0}},
    {"/v2/models/{m}/versions/{v}/ready", "GET", "", Form::kObject, {200, 404, 404, 503, 503}},
    {"/v2/models/{m}/config", "GET", "", Form::kObject, {200, 404, 0, 503, 0}},
    {"/v2/models/{m}/versions/{v}/config", "GET", "", Form::kObject, {200, 404, 404, 503, 503}},
    {"/v2/models/{m}/stats", "GET", "", Form::kObject, {200, 400, 0, 400, 0}},
    {"/v2/models/{m}/versions/{v}/stats", "GET", "", Form::kObject, {200, 400, 400, 400, 400}},
    {"/v2/models/{m}/infer", "POST", kInferBody, Form::kObject, {200, 404, 0, 503, 0}},
    {"/v2/models/{m}/versions/{v}/infer",
     "POST",
     kInferBody,
     Form::kObject,
     {200, 404, 404, 503, 503}},
    {"/v2/models/{m}/generate", "POST", kGenerateBody, Form::kObject, {200, 404, 0, 503, 0}},
    {"/v2/models/{m}/versions/{v}/generate",
     "POST",
     kGenerateBody,
     Form::kObject,
     {200, 404, 404, 503, 503}},
    {"/v2/trace/setting", "GET", "", Form::kObject, {200}},
    {"/v2/trace/setting", "POST", R"({"trace_rate":"1"})", Form::kObject, {200}},
    {"/v2/models/{m}/trace/setting", "GET", "", Form::kObject, {200, 200, 0, 200, 0}},
    {"/v2/models/{m}/trace/setting",
     "POST",
     R"({"trace_rate":"1"})",
     Form::kObject,
     {200, 200, 0, 200, 0}},
    {"/v2/logging", "GET", "", Form::kObject, {200}},
    {"/v2/logging", "POST", R"({"log_info":true})", Form::kObject, {200}},
    {"/v2/repository/index", "POST", "", Form::kArray, {200}},
    {"/v2/repository/models/{m}/load", "POST", "", Form::kNothing, {200, 200, 0, 200, 0}},
    {"/v2/repository/models/{m}/unload", "POST", "", Form::kNothing, {200, 200, 0, 200, 0}},
    {"/v2/repository/other/index", "POST", "", Form::kArray, {501}},
    {"/v2/repository/other/models/{m}/load", "POST", "", Form::kArray, {501, 501, 0, 501, 0}},
    {"/v2/repository/other/models/{m}/unload", "POST", "", Form::kArray, {501, 501, 0, 501, 0}},
};

constexpr const char* kMethods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};

void Replace(std::string* text, std::string_view what, std::string_view with) {
  for (size_t at = text->find(what); at != std::string::npos; at = text->find(what, at)) {
    text->replace(at, what.size(), with);
  }
}

std::string PathFor(const Row& row, const Target& target) {
  std::string path = row.path;
  Replace(&path, "{m}", target.model);
  Replace(&path, "{v}", target.version);
  return path;
}

// "GET, HEAD, POST", from all rows of the path.
std::string AllowOf(const char* path) {
  std::string allow;
  for (const Row& row : kRows) {
    if (std::string_view(row.path) != path) continue;
    if (!allow.empty()) allow += ", ";
    allow += row.method;
    if (std::string_view(row.method) == "GET") allow += ", HEAD";
  }
  return allow;
}

class V2RoutesTest : public testing::Test {
 protected:
  Reply Ask(std::string_view method, std::string_view path, std::string_view body = {}) {
    return client_.Ask(method, path, body);
  }

  TestServer server_;
  TestClient client_{server_.address()};
};

TEST_F(V2RoutesTest, EveryPathAnswersForEveryKindOfModel) {
  for (const Row& row : kRows) {
    const std::string pattern = row.path;
    const bool model = pattern.find("{m}") != std::string::npos;
    const bool version = pattern.find("{v}") != std::string::npos;
    for (int i = 0; i < (model ? kCases : 1); ++i) {
      if (!version && (i == kUnknownVersion || i == kNotReadyVersion)) continue;
      const std::string path = PathFor(row, kTargets[i]);
      const Reply reply = Ask(row.method, path, row.body);
      EXPECT_EQ(row.statuses[i], reply.status) << row.method << " " << path << " " << reply.body;
      const Form form = reply.status == 200 ? row.form : Form::kError;
      EXPECT_EQ(form, FormOf(reply)) << row.method << " " << path << " " << reply.body;
      const auto type = reply.fields.find("content-type");
      if (form != Form::kNothing) {
        EXPECT_EQ("application/json", type->second) << path;
      } else {
        EXPECT_EQ(reply.fields.end(), type) << path;
      }
    }
  }
}

TEST_F(V2RoutesTest, EveryOtherMethodIsToldWhichThereAre) {
  std::set<std::string> seen;
  for (const Row& row : kRows) {
    if (!seen.insert(row.path).second) continue;
    const std::string path = PathFor(row, kTargets[kOk]);
    const std::string allow = AllowOf(row.path);
    for (const char* method : kMethods) {
      const Reply reply = Ask(method, path);
      if (allow.find(method) != std::string::npos) {
        EXPECT_NE(405, reply.status) << method << " " << path;
        continue;
      }
      const bool options = std::string_view(method) == "OPTIONS";
      EXPECT_EQ(options ? 200 : 405, reply.status) << method << " " << path;
      EXPECT_EQ(allow, reply.fields.at("allow")) << method << " " << path;
      if (options) {
        EXPECT_EQ("", reply.body);
      } else if (std::string_view(method) != "HEAD") {
        EXPECT_EQ(Form::kError, FormOf(reply)) << method << " " << path;
      }
    }
  }
}

TEST_F(V2RoutesTest, HeadIsGetWithoutTheBody) {
  for (const Row& row : kRows) {
    if (std::string_view(row.method) != "GET") continue;
    for (const Target& target : {kTargets[kOk], kTargets[kUnknownModel]}) {
      const std::string path = PathFor(row, target);
      const Reply get = Ask("GET", path);
      const Reply head = Ask("HEAD", path);
      EXPECT_EQ(get.status, head.status) << path;
      EXPECT_EQ(std::to_string(get.body.size()), head.fields.at("content-length")) << path;
    }
  }
}

TEST_F(V2RoutesTest, WhatIsNoPathIsNotFound) {
  std::vector<std::string> paths = {"/v2/models/pair/versions",
                                    "/v2/models/pair/versions/",
                                    "/v2/health",
                                    "/v2x",
                                    "/V2",
                                    "/v2/models//ready",
                                    "/v2/models/pair/versions/1/versions/1"};
  for (const Row& row : kRows) {
    const std::string path = PathFor(row, kTargets[kOk]);
    // "/v2/" is the one path that may end so.
    if (path != "/v2") paths.push_back(path + "/");
    paths.push_back(path + "/more/and/more");
    if (std::string_view(row.path).find("{v}") == std::string_view::npos) continue;
    for (const char* version : {"-1", "+1", "1%2F2", "", "%31x%20", "1.5e", "~"}) {
      std::string bad = row.path;
      Replace(&bad, "{m}", "pair");
      Replace(&bad, "{v}", version);
      // What could be a label is looked up as one, and there is none.
      if (std::string_view(version) == "1.5e") continue;
      paths.push_back(bad);
    }
  }
  for (const std::string& path : paths) {
    for (const char* method : {"GET", "POST"}) {
      const Reply reply = Ask(method, path);
      EXPECT_EQ(404, reply.status) << method << " " << path;
      EXPECT_EQ(R"({"error":"Not Found"})", reply.body) << method << " " << path;
    }
  }
}

TEST_F(V2RoutesTest, NamesArePercentDecodedAndVersionsAreNumbers) {
  EXPECT_EQ(200, Ask("GET", "/v2/models/p%61ir").status);
  EXPECT_EQ(200, Ask("GET", "/v2/models/odd%20name%2F%C3%A9/ready").status);
  EXPECT_EQ(400, Ask("GET", "/v2/models/pair%").status);
  EXPECT_EQ(400, Ask("GET", "/v2/models/pair%zz/stats").status);
  EXPECT_EQ(200, Ask("GET", "/v2/models/pair/versions/007/stats").status);
  EXPECT_EQ(404, Ask("GET", "/v2/models/pair/versions/0").status);
  EXPECT_EQ(404, Ask("GET", "/v2/models/pair/versions/18446744073709551617").status);
  EXPECT_EQ(404, Ask("GET", "/v2/models/pair/versions/stable").status);
}

TEST_F(V2RoutesTest, ConfigurationIsThatOfTheRouteAndLoadsTheModel) {
  EXPECT_EQ(R"({"name":"pair"})", Ask("GET", "/v2/models/pair/config").body);
  const int before = server_.engine().resolved;
  EXPECT_EQ(200, Ask("GET", "/v2/models/ondemand/config").status);
  EXPECT_EQ(before + 1, server_.engine().resolved);
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(V2RoutesTest, TheListOfModelsNamesThem) {
  const json::value list = json::parse(Ask("GET", "/v2/models").body);
  std::set<std::string> names;
  for (const json::value& name : list.at("models").as_array()) {
    EXPECT_TRUE(names.insert(name.as_string().c_str()).second) << "once, whatever its versions";
  }
  for (const char* name : {"pair", "unloaded", "ondemand", "odd name/\xc3\xa9"}) {
    EXPECT_EQ(1u, names.count(name)) << name;
  }
}

}  // namespace
}  // namespace mlos::http
