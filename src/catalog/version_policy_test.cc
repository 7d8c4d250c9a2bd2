// SPDX-License-Identifier: Apache-2.0
#include "catalog/version_policy.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <vector>

namespace mlos::catalog {
namespace {

VersionPolicy Parse(const char* text) { return *ParseVersionPolicy(boost::json::parse(text)); }

TEST(VersionPolicyTest, SaysWhichVersionsMayServe) {
  const std::vector<uint64_t> present = {1, 3, 7};
  const VersionPolicy all = Parse(R"({"all":{}})");
  const VersionPolicy two = Parse(R"({"latest":{"num_versions":2}})");
  const VersionPolicy some = Parse(R"({"specific":{"versions":[1,9]}})");
  const VersionPolicy none = Parse(R"({"specific":{"versions":[]}})");
  struct {
    uint64_t version;
    bool two, some;
  } const cases[] = {{1, false, true},  {3, true, false}, {7, true, false},
                     {2, false, false}, {5, true, false}, {9, true, true}};
  for (const auto& c : cases) {
    EXPECT_TRUE(all.Covers(c.version, present)) << c.version;
    EXPECT_EQ(c.two, two.Covers(c.version, present)) << c.version;
    EXPECT_EQ(c.some, some.Covers(c.version, present)) << c.version;
    EXPECT_FALSE(none.Covers(c.version, present)) << c.version;
  }
  EXPECT_TRUE(two.Covers(1, {}));
}

TEST(VersionPolicyTest, IsWhatItWasAsAnObject) {
  for (const char* text :
       {R"({"all":{}})", R"({"latest":{"num_versions":2}})", R"({"specific":{"versions":[1,3]}})",
        R"({"specific":{"versions":[9223372036854775807]}})"}) {
    const VersionPolicy policy = Parse(text);
    EXPECT_EQ(boost::json::parse(text), boost::json::value(VersionPolicyObject(policy)));
    EXPECT_EQ(policy, *ParseVersionPolicy(VersionPolicyObject(policy)));
  }
}

TEST(VersionPolicyTest, SaysWhatItAdmits) {
  EXPECT_EQ("all versions", DescribePolicy(Parse(R"({"all":{}})")));
  EXPECT_EQ("the latest version", DescribePolicy(Parse(R"({"latest":{"num_versions":1}})")));
  EXPECT_EQ("the latest 2 versions", DescribePolicy(Parse(R"({"latest":{"num_versions":2}})")));
  EXPECT_EQ("versions 1, 3", DescribePolicy(Parse(R"({"specific":{"versions":[3,1]}})")));
  EXPECT_EQ("no version", DescribePolicy(Parse(R"({"specific":{"versions":[]}})")));
}

TEST(VersionPolicyTest, RefusesEverythingElse) {
  for (const char* text :
       {"null", "7", "[]", "{}", R"({"all":{},"latest":{"num_versions":1}})", R"({"all":[]})",
        R"({"all":{"x":1}})", R"({"latest":{}})", R"({"latest":{"num_versions":0}})",
        R"({"latest":{"num_versions":-1}})", R"({"latest":{"num_versions":1.5}})",
        R"({"latest":{"num_versions":1,"x":1}})", R"({"specific":{}})",
        R"({"specific":{"versions":1}})", R"({"specific":{"versions":[0]}})",
        R"({"specific":{"versions":["1"]}})", R"({"newest":{"versions":[1]}})"}) {
    EXPECT_EQ(StatusCode::kInvalidArgument,
              ParseVersionPolicy(boost::json::parse(text)).status().code())
        << text;
  }
  boost::json::array many(1001, 1);
  EXPECT_FALSE(ParseVersionPolicy(boost::json::object{{"specific", {{"versions", many}}}}).ok());
}

}  // namespace
}  // namespace mlos::catalog
