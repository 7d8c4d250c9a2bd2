// SPDX-License-Identifier: Apache-2.0
#include "operations/body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace mlos::operations {
namespace {

using testing::HasSubstr;

std::string Check(OperationKind kind, const char* members) {
  const Status status = CheckMembers(Row(kind), boost::json::parse(members).get_object());
  return std::string(status.ok() ? "" : Message(status));
}

TEST(BodyTest, MembersAreThoseOfTheRow) {
  constexpr auto kPlugin = OperationKind::kRegisterPlugin;
  EXPECT_EQ(Check(kPlugin, R"({"path":"/p"})"), "");
  EXPECT_THAT(Check(kPlugin, R"({"path":"/p","x":1})"), HasSubstr("'x' (known: path, install)"));
  EXPECT_THAT(Check(kPlugin, R"({"pth":"/p"})"), HasSubstr("did you mean 'path'?"));
  EXPECT_EQ(Check(kPlugin, "{}"), "\"path\" must be given: a string (an absolute path)");
  EXPECT_THAT(Check(kPlugin, R"({"path":["a"]})"), HasSubstr(R"(path), not '["a"]')"));
  EXPECT_EQ(Check(OperationKind::kGetStatus, "{}"), "");
}

TEST(BodyTest, VersionsAreIntegersOrTheirText) {
  const auto check = [](const std::string& version) {
    return Check(OperationKind::kRegisterModel,
                 (R"({"name":"n","path":"/p","version":)" + version + "}").c_str());
  };
  for (const char* good : {"1", "\"1\"", "9223372036854775807", "\"42\""}) {
    EXPECT_EQ(check(good), "") << good;
  }
  for (const char* bad : {"0", "-1", "1.5", "\"01\"", "\"one\"", "\"\"", "null", "[]", "1e20",
                          "18446744073709551615", "\"99999999999999999999\""}) {
    EXPECT_THAT(check(bad), HasSubstr("\"version\" must be an integer from 1 on")) << bad;
  }
}

TEST(BodyTest, ParametersTakeTheTypeOfTheirField) {
  EXPECT_EQ(*ReadParameter(Type::kInteger, "12"), boost::json::value(12u));
  EXPECT_EQ(*ReadParameter(Type::kInteger, "12x"), boost::json::value("12x"));
  EXPECT_EQ(*ReadParameter(Type::kInteger, "-1"), boost::json::value("-1"));
  EXPECT_EQ(*ReadParameter(Type::kBoolean, "true"), boost::json::value(true));
  EXPECT_EQ(*ReadParameter(Type::kBoolean, "0"), boost::json::value(false));
  EXPECT_EQ(*ReadParameter(Type::kBoolean, "maybe"), boost::json::value("maybe"));
  EXPECT_EQ(*ReadParameter(Type::kString, "true"), boost::json::value("true"));
  EXPECT_TRUE(ReadParameter(Type::kObject, R"({"a":1})")->is_object());
  EXPECT_TRUE(ReadParameter(Type::kObject, "a.json")->is_string());
}

TEST(BodyTest, AnObjectWithAFaultInsideIsToldWhichItIs) {
  const auto refused = [](const char* text) {
    const auto value = ReadParameter(Type::kObject, text);
    return value.ok() ? std::string() : std::string(Message(value.status()));
  };
  EXPECT_THAT(refused("{"), HasSubstr("not valid JSON: it ends too early"));
  EXPECT_THAT(refused(" {\"a\":1e400}"), HasSubstr("'1e400' is larger than a double can be"));
  EXPECT_THAT(refused(R"({"a":1,"a":2})"), HasSubstr("'a' is given twice"));
}

}  // namespace
}  // namespace mlos::operations
