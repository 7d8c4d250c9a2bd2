// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "options/settings.h"

namespace mlos::options {
namespace {

using testing::HasSubstr;

TEST(NumberTest, DurationsAreMilliseconds) {
  EXPECT_EQ(75'000u, ParseDuration("75"));
  EXPECT_EQ(75'000u, ParseDuration("75s"));
  EXPECT_EQ(250u, ParseDuration("250ms"));
  EXPECT_EQ(7'200'000u, ParseDuration("2h"));
  EXPECT_EQ(0u, ParseDuration("0"));
  for (const char* bad : {"", "s", "-1", "1.5s", "1 s", "1S", "1d", "99999999999999999999",
                          "18446744073709551615h", "1s2"}) {
    EXPECT_FALSE(ParseDuration(bad)) << bad;
  }
}

TEST(NumberTest, SizesAreBytes) {
  EXPECT_EQ(10u, ParseSize("10"));
  EXPECT_EQ(10u, ParseSize("10B"));
  EXPECT_EQ(uint64_t{64} << 20, ParseSize("64MiB"));
  for (const char* bad : {"64MB", "64M", "MiB", "0x10", "16777216TiB"}) {
    EXPECT_FALSE(ParseSize(bad)) << bad;
  }
}

TEST(NumberTest, WhatIsWrittenIsReadBack) {
  for (const uint64_t value : {0ull, 1ull, 999ull, 1000ull, 1024ull, 75'000ull, 3'600'000ull,
                               1ull << 20, 1ull << 40, (1ull << 40) + 1}) {
    EXPECT_EQ(value, ParseDuration(FormatDuration(value)));
    EXPECT_EQ(value, ParseSize(FormatSize(value)));
  }
  EXPECT_EQ("75s", FormatDuration(75'000));
  EXPECT_EQ("1h", FormatDuration(3'600'000));
  EXPECT_EQ("16KiB", FormatSize(16 << 10));
  EXPECT_EQ("1GiB", FormatSize(uint64_t{1} << 30));
}

constexpr Row kGood = {.name = "some-thing",
                       .group = Group::kGeneral,
                       .type = Type::kInteger,
                       .initial = Default::Is("4"),
                       .range = {"1", "8"},
                       .unit = "things",
                       .change = Change::kReload,
                       .doc = "How many",
                       .reason = "Enough."};
static_assert(IsComplete(kGood));

// Each column matters: a row without it is refused, as the table's own check
// would refuse it at compile time.
TEST(RowTest, EveryColumnIsNeeded) {
  const auto without = [](auto change) {
    Row row = kGood;
    change(row);
    return IsComplete(row);
  };
  EXPECT_FALSE(without([](Row& r) { r.name = {}; }));
  EXPECT_FALSE(without([](Row& r) { r.name = "Some_thing"; }));
  EXPECT_FALSE(without([](Row& r) { r.group = Group::kMissing; }));
  EXPECT_FALSE(without([](Row& r) { r.type = Type::kMissing; }));
  EXPECT_FALSE(without([](Row& r) { r.initial = {}; }));
  EXPECT_FALSE(without([](Row& r) { r.initial = Default::None(); }));
  EXPECT_FALSE(without([](Row& r) { r.initial = Default::Is("9"); }));
  EXPECT_FALSE(without([](Row& r) { r.initial = Default::Is("four"); }));
  EXPECT_FALSE(without([](Row& r) { r.range = {}; }));
  EXPECT_FALSE(without([](Row& r) { r.unit = {}; }));
  EXPECT_FALSE(without([](Row& r) { r.choices = "a|b"; }));
  EXPECT_FALSE(without([](Row& r) { r.change = Change::kMissing; }));
  EXPECT_FALSE(without([](Row& r) { r.doc = {}; }));
  EXPECT_FALSE(without([](Row& r) { r.reason = {}; }));
}

TEST(ValueTest, WrongValuesAreNamedWithWhatIsAllowed) {
  Value value;
  EXPECT_EQ("", ReadValue(kGood, "8", &value));
  EXPECT_EQ(8u, value.number);
  for (const char* bad : {"0", "9", "", "many", "-1", "1e3"}) {
    const std::string wrong = ReadValue(kGood, bad, &value);
    EXPECT_THAT(wrong, HasSubstr(std::string("'") + bad + "'"));
    EXPECT_THAT(wrong, HasSubstr("a whole number from 1 to 8 (things)"));
  }
  EXPECT_EQ(8u, value.number);
}

TEST(ValueTest, BooleansAreTrueOrFalse) {
  Row row = kGood;
  row.type = Type::kBoolean;
  Value value;
  EXPECT_EQ("", ReadValue(row, "true", &value));
  EXPECT_EQ("true", WriteValue(row, value));
  EXPECT_EQ("", ReadValue(row, "false", &value));
  EXPECT_EQ("false", WriteValue(row, value));
  EXPECT_THAT(ReadValue(row, "yes", &value), HasSubstr("true or false"));
}

TEST(ValueTest, AChoiceThatIsNearlyRightIsSuggested) {
  Value value;
  EXPECT_THAT(ReadValue(RowOf(Id::kLogLevel), "waring", &value), HasSubstr("'warning'"));
  EXPECT_THAT(ReadValue(RowOf(Id::kLogLevel), "loud", &value),
              HasSubstr("debug, info, warning or error"));
  EXPECT_NE("", ReadValue(RowOf(Id::kLogLevel), "debug|info", &value));
}

TEST(ValueTest, TextsAreBoundedAndPlain) {
  const Row& row = RowOf(Id::kPluginDir);
  Value value;
  EXPECT_EQ("", ReadValue(row, "/a b/ü", &value));
  EXPECT_NE("", ReadValue(row, "", &value));
  EXPECT_NE("", ReadValue(row, "/a\nb", &value));
  EXPECT_NE("", ReadValue(row, "/a\xff", &value));
  EXPECT_NE("", ReadValue(row, std::string(4097, 'x'), &value));
  EXPECT_EQ(std::vector<std::string>{"/a b/ü"}, value.texts);
  EXPECT_EQ(R"(["/a b/ü"])", WriteValue(row, value));
  std::string wrong;
  for (int i = 0; i < 300 && wrong.empty(); ++i) wrong = ReadValue(row, "/x", &value);
  EXPECT_THAT(wrong, HasSubstr("256 items"));
}

TEST(TableTest, VariablesAreNamedAfterFlags) {
  EXPECT_EQ("MLOS_HTTP_ADDRESS", EnvironmentName("http-address"));
}

TEST(TableTest, EveryDefaultCanBeGivenByAUser) {
  const Settings defaults;
  for (const Row& row : Table()) {
    if (row.initial.kind == Default::Kind::kNone) {
      EXPECT_TRUE(defaults.at(row.id).value.texts.empty()) << row.name;
      continue;
    }
    Value value;
    for (const std::string& text : defaults.at(row.id).value.texts) {
      EXPECT_EQ("", ReadValue(row, text, &value)) << row.name;
    }
    if (IsNumber(row.type) || row.type == Type::kBoolean) {
      EXPECT_EQ("", ReadValue(row, row.initial.text, &value)) << row.name;
      EXPECT_EQ(row.initial.text, WriteValue(row, value)) << row.name;
    }
    EXPECT_TRUE(value == defaults.at(row.id).value) << row.name;
  }
}

}  // namespace
}  // namespace mlos::options
