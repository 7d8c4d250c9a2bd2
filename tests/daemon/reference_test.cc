// SPDX-License-Identifier: Apache-2.0
//
// The OpenAPI document of a daemon against what the daemon does: every route
// in it answers, and every object has exactly the members that it describes.
#include "fixture.h"

namespace mlos::test {
namespace {
namespace json = boost::json;

std::string WithoutParameters(std::string path) {
  for (const char* parameter : {"{name}", "{version}", "{label}"}) {
    const size_t at = path.find(parameter);
    if (at != std::string::npos) path.replace(at, std::string_view(parameter).size(), "nobody");
  }
  EXPECT_EQ(path.find('{'), std::string::npos) << path << ": this test does not know a parameter";
  return path;
}

class ReferenceTest : public UnharmedTest {
 protected:
  static json::value Document() { return ParseJson(daemon().Get("/api/v1/openapi.json").body); }
};

TEST_F(ReferenceTest, EveryRouteAnswers) {
  const json::value document = Document();
  EXPECT_EQ(At(document, "/openapi"), "3.1.0");
  size_t routes = 0;
  for (const auto& [path, item] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : item.as_object()) {
      ++routes;
      std::string verb(method);
      for (char& c : verb) c = static_cast<char>(c - 'a' + 'A');
      const bool body = operation.as_object().contains("requestBody");
      HttpClient client(daemon().address());
      const Reply reply = client.Send(verb, WithoutParameters(path), body ? "{}" : "");
      SCOPED_TRACE(verb + " " + std::string(path) + " " + Show(reply));
      EXPECT_TRUE(operation.at("responses").as_object().contains(std::to_string(reply.status)));
      // The answer is this route's, not that of a path nobody knows.
      if (reply.status == 404) {
        EXPECT_THAT(ErrorText(reply), testing::HasSubstr("nobody"));
      }
      if (reply.status == 400) {
        EXPECT_TRUE(body);
      }
    }
  }
  EXPECT_GE(routes, 17u);
}

// `value` against a schema: the types, the members, neither more nor less.
void ExpectConforms(const json::value& document, const json::value& schema,
                    const json::value& value) {
  SCOPED_TRACE(json::serialize(value).substr(0, 300));
  if (const json::value* reference = schema.as_object().if_contains("$ref")) {
    const std::string pointer = std::string(reference->as_string()).substr(1);
    json::error_code error;
    const json::value* target = document.find_pointer(pointer, error);
    ASSERT_NE(target, nullptr) << pointer;
    return ExpectConforms(document, *target, value);
  }
  const json::value& type = schema.at("type");
  if (type.is_array() && value.is_null()) return;
  const std::string name(type.is_array() ? type.at(0).as_string() : type.as_string());
  if (name == "string") {
    ASSERT_TRUE(value.is_string());
  }
  if (name == "boolean") {
    ASSERT_TRUE(value.is_bool());
  }
  if (name == "integer") {
    ASSERT_TRUE(value.is_int64() || value.is_uint64());
  }
  if (const json::value* values = schema.as_object().if_contains("enum")) {
    const json::array& all = values->as_array();
    EXPECT_NE(std::find(all.begin(), all.end(), value), all.end());
  }
  if (name == "array") {
    ASSERT_TRUE(value.is_array());
    for (const json::value& v : value.as_array()) ExpectConforms(document, schema.at("items"), v);
  }
  if (name != "object") return;
  ASSERT_TRUE(value.is_object());
  const json::value* properties = schema.as_object().if_contains("properties");
  if (properties == nullptr) return;  // any object
  for (const auto& [key, v] : value.as_object()) {
    const json::value* member = properties->as_object().if_contains(key);
    EXPECT_NE(member, nullptr) << key << ": give it a row in src/operations/objects.cc";
    if (member != nullptr) ExpectConforms(document, *member, v);
  }
  if (const json::value* required = schema.as_object().if_contains("required")) {
    for (const json::value& key : required->as_array()) {
      EXPECT_TRUE(value.as_object().contains(key.as_string())) << key;
    }
  }
}

TEST_F(ReferenceTest, ObjectsAreAsDescribed) {
  const json::value document = Document();
  const auto check = [&](const Reply& reply, const char* schema) {
    SCOPED_TRACE(schema);
    ExpectConforms(document, document.at("components").at("schemas").at(schema),
                   ParseJson(reply.body));
  };
  check(daemon().Get("/api/v1/status"), "Status");
  check(daemon().Get("/api/v1/hosts"), "Hosts");
  check(daemon().Get("/api/v1/plugins"), "Plugins");
  check(daemon().Get("/api/v1/plugins/template"), "Plugins");
  check(daemon().Get("/api/v1/plugins/template/versions/1.0.0"), "Plugin");
  check(daemon().Get("/api/v1/models"), "Models");
  check(daemon().Get("/api/v1/models/digits"), "Models");
  check(daemon().Get("/api/v1/models/digits/versions/1"), "Model");
  check(daemon().Get("/api/v1/usage"), "Usages");
  check(daemon().Get("/api/v1/models/nobody"), "Error");
  check(daemon().Post("/api/v1/models", "{}"), "Error");
}

}  // namespace
}  // namespace mlos::test
