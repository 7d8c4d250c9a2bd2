// SPDX-License-Identifier: Apache-2.0
#include "operations/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <set>
#include <string>

#include "operations/objects.h"
#include "operations/operations.h"

namespace mlos::operations {
namespace {
namespace json = boost::json;

// Every "$ref" below a value points into the document.
void ExpectReferencesExist(const json::object& document, const json::value& value) {
  if (value.is_array()) {
    for (const json::value& v : value.get_array()) ExpectReferencesExist(document, v);
  }
  if (!value.is_object()) return;
  for (const auto& [key, v] : value.get_object()) {
    if (key == "$ref") {
      const std::string target(v.as_string());
      ASSERT_EQ(target.rfind("#/", 0), 0u) << target;
      json::error_code error;
      EXPECT_NE(json::value(document).find_pointer(target.substr(1), error), nullptr) << target;
    }
    ExpectReferencesExist(document, v);
  }
}

TEST(OpenApiTest, HasTheFormOfTheStandard) {
  const json::object document = OpenApi("1.2.3");
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  EXPECT_EQ(document.at("info").at("version").as_string(), "1.2.3");
  EXPECT_FALSE(document.at("info").at("title").as_string().empty());
  ExpectReferencesExist(document, document);
  const std::set<std::string> methods{"get", "put", "post", "delete"};
  std::set<std::string> ids;
  for (const auto& [path, item] : document.at("paths").as_object()) {
    EXPECT_EQ(path.front(), '/');
    for (const auto& [method, operation] : item.as_object()) {
      EXPECT_EQ(methods.count(method), 1u) << method;
      EXPECT_TRUE(ids.insert(std::string(operation.at("operationId").as_string())).second);
      EXPECT_TRUE(operation.at("responses").as_object().contains("200"));
      // Every {parameter} is described.
      size_t described = 0;
      if (const json::value* parameters = operation.as_object().if_contains("parameters")) {
        for (const json::value& p : parameters->as_array()) {
          if (p.at("in").as_string() != "path") continue;
          ++described;
          EXPECT_TRUE(p.at("required").as_bool());
          EXPECT_NE(path.find("{" + std::string(p.at("name").as_string()) + "}"),
                    json::string_view::npos);
        }
      }
      EXPECT_EQ(described, static_cast<size_t>(std::count(path.begin(), path.end(), '{'))) << path;
    }
  }
  EXPECT_EQ(ids.size(), Operations().size());
}

TEST(OpenApiTest, TellsBodiesAndAnswers) {
  const json::value document = OpenApi("1");
  const json::value& models = document.at("paths").at("/api/v1/models");
  const json::value& body =
      models.at("post").at("requestBody").at("content").at("application/json").at("schema");
  EXPECT_EQ(json::serialize(body.at("required")), R"(["name","path"])");
  EXPECT_TRUE(body.at("properties").as_object().contains("plugin"));
  EXPECT_TRUE(models.at("post").at("responses").as_object().contains("201"));
  EXPECT_FALSE(models.at("get").at("responses").as_object().contains("201"));
  const json::value& load =
      document.at("paths").at("/api/v1/models/{name}/versions/{version}/load").at("post");
  EXPECT_TRUE(load.at("responses").as_object().contains("202"));
  EXPECT_EQ(load.at("x-mlos-permission").as_string(), "models:operate");
  EXPECT_EQ(load.at("x-mlos-command").as_string(), "mlos model load NAME [VERSION]");
  EXPECT_EQ(json::serialize(
                document.at("components").at("schemas").at("Host").at("properties").at("pid")),
            R"({"type":["integer","null"],"minimum":0,)"
            R"("description":"Its process number; null while there is no process"})");
}

}  // namespace
}  // namespace mlos::operations
