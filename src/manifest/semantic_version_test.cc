// SPDX-License-Identifier: Apache-2.0
#include "manifest/semantic_version.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mlos {
namespace {

TEST(SemanticVersion, OrdersAsTheStandardSays) {
  const std::vector<std::string> ascending = {
      "0.9.9",      "1.0.0-1",      "1.0.0-alpha",   "1.0.0-alpha.1", "1.0.0-alpha.beta",
      "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",    "1.0.0",
      "1.0.1",      "1.2.0",        "1.10.0",        "2.0.0",         "4294967295.0.0"};
  for (size_t i = 0; i < ascending.size(); ++i) {
    const auto a = ParseSemanticVersion(ascending[i]);
    ASSERT_TRUE(a.ok()) << a.status();
    EXPECT_EQ(a->ToString(), ascending[i]);
    for (size_t j = 0; j < ascending.size(); ++j) {
      const auto b = ParseSemanticVersion(ascending[j]);
      ASSERT_TRUE(b.ok()) << b.status();
      EXPECT_EQ(*a < *b, i < j) << ascending[i] << " " << ascending[j];
      EXPECT_EQ(*a == *b, i == j) << ascending[i] << " " << ascending[j];
    }
  }
}

TEST(SemanticVersion, RefusesOtherSpellings) {
  for (const std::string& text :
       {std::string(""), std::string("1"), std::string("1.0"), std::string("1.0.0.0"),
        std::string("v1.0.0"), std::string("01.0.0"), std::string("1.0.-1"),
        std::string("1.0.4294967296"), std::string("1.0.0-"), std::string("1.0.0-a..b"),
        std::string("1.0.0-01"), std::string("1.0.0-a_b"), std::string("1.0.0 "),
        std::string("1.0.0+build"), std::string("1.0.0-a+b"), std::string("1..0"),
        "1.0.0-" + std::string(64, 'a')}) {
    const auto version = ParseSemanticVersion(text);
    ASSERT_FALSE(version.ok()) << text;
    EXPECT_NE(Message(version.status()).find("write MAJOR.MINOR.PATCH such as 1.0.0"),
              std::string_view::npos)
        << version.status();
  }
}

}  // namespace
}  // namespace mlos
