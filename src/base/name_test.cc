// SPDX-License-Identifier: Apache-2.0
#include "base/name.h"

#include <gtest/gtest.h>

#include <string>

#include "base/near_miss.h"

namespace mlos {
namespace {

TEST(Name, AcceptsWhatTheRuleAllows) {
  for (const char* name : {"a", "0", "resnet-50", "a.b_c-D9", "1.0.0"}) {
    EXPECT_TRUE(IsValidName(name)) << name;
    EXPECT_TRUE(ValidateName("model name", name).ok()) << name;
  }
  EXPECT_TRUE(IsValidName(std::string(128, 'x')));
}

TEST(Name, RefusesEverythingElse) {
  for (const std::string& name :
       {std::string(""), std::string("."), std::string(".."), std::string("../x"),
        std::string("a/b"), std::string("-a"), std::string("_a"), std::string("a b"),
        std::string("a\0b", 3), std::string("\xc3\xa9"), std::string("a\n"),
        std::string(129, 'x')}) {
    EXPECT_FALSE(IsValidName(name)) << name;
    EXPECT_EQ(ValidateName("model name", name).code(), StatusCode::kInvalidArgument) << name;
  }
}

TEST(Name, MessageNamesTheFaultAndEscapesIt) {
  const auto text = [](std::string_view name) {
    return std::string(Message(ValidateName("model name", name)));
  };
  EXPECT_NE(text("a/b").find("model name 'a/b' has '/' at position 2; use 1 to 128"),
            std::string::npos)
      << text("a/b");
  EXPECT_NE(text(".a").find("'.' at position 1"), std::string::npos) << text(".a");
  EXPECT_NE(text("a\x1b[2J").find("'a\\x1b[2J'"), std::string::npos) << text("a\x1b[2J");
  EXPECT_LT(text(std::string(100'000, 'x')).size(), 300u);
  EXPECT_NE(text("größe").find("'größe' has 'ö' at position 3"), std::string::npos)
      << text("größe");
}

TEST(Quoted, IsUtf8WhateverCame) {
  EXPECT_EQ(Quoted("größe"), "'größe'");
  EXPECT_EQ(Quoted("größe", 3), "'gr…'");  // not half of the third character
  EXPECT_EQ(Quoted("a\xff\xc3"), "'a\\xff\\xc3'");
  EXPECT_EQ(Quoted("\xc0\x80"), "'\\xc0\\x80'");                    // longer than need be
  EXPECT_EQ(Quoted("\xed\xa0\x80"), "'\\xed\\xa0\\x80'");           // a surrogate
  EXPECT_EQ(Quoted("\xf4\x90\x80\x80"), "'\\xf4\\x90\\x80\\x80'");  // beyond the last
  EXPECT_EQ(Quoted("\xf0\x9f\x98\x80"), "'\xf0\x9f\x98\x80'");
}

TEST(NearMiss, FindsSlipsAndNothingElse) {
  const std::vector<std::string_view> known = {"name", "version", "library", "formats"};
  EXPECT_EQ(NearMiss("fromats", known), "formats");
  EXPECT_EQ(NearMiss("format", known), "formats");
  EXPECT_EQ(NearMiss("Library", known), "library");
  EXPECT_EQ(NearMiss("nmae", known), "name");
  EXPECT_EQ(NearMiss("zebra", known), "");
  EXPECT_EQ(NearMiss("", known), "");
  EXPECT_EQ(NearMiss(std::string(100'000, 'x'), known), "");
  EXPECT_EQ(DidYouMean("versoin", known), " (did you mean 'version'?)");
  EXPECT_EQ(DidYouMean("zebra", known), "");
}

}  // namespace
}  // namespace mlos
