// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <limits>
#include <random>

namespace mlos {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

std::string Written(const char* text) { return json::serialize(*ParseJson(text)); }

std::string Refused(std::string_view text, size_t depth = kMaxJsonDepth) {
  const auto value = ParseJson(text, depth);
  if (value.ok()) return "not refused: " + json::serialize(*value);
  EXPECT_EQ(StatusCode::kInvalidArgument, value.status().code());
  return std::string(Message(value.status()));
}

TEST(JsonTest, EveryKindOfValue) {
  EXPECT_EQ(
      Written(R"( {"a":[1,-2,18446744073709551615,true,false,null],"b\u0041":"x\n\u00fcy"} )"),
      "{\"a\":[1,-2,18446744073709551615,true,false,null],\"bA\":\"x\\n\u00fcy\"}");
  EXPECT_EQ(Written("[]"), "[]");
  EXPECT_EQ(Written("{}"), "{}");
  EXPECT_EQ(Written("\"\""), "\"\"");
  EXPECT_EQ(Written("7"), "7");
  EXPECT_EQ(Written("[[[]],{\"a\":{\"a\":{}}}]"), "[[[]],{\"a\":{\"a\":{}}}]");
  EXPECT_EQ(ParseJson("[9223372036854775807,-9223372036854775808]")->at(1).get_int64(),
            std::numeric_limits<int64_t>::min());
}

// Boost.JSON 1.81 alone reads these as one of the doubles beside them.
TEST(JsonTest, ADoubleIsTheNearestOne) {
  EXPECT_EQ(ParseJson("123456789012345678e-25")->get_double(), 123456789012345678e-25);
  EXPECT_EQ(ParseJson("1.7976931348623157e308")->get_double(), std::numeric_limits<double>::max());
  EXPECT_EQ(ParseJson("4.9e-324")->get_double(), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(ParseJson("2.2250738585072011e-308")->get_double(), 2.2250738585072011e-308);
  EXPECT_EQ(ParseJson("18446744073709551616")->get_double(), 18446744073709551616.0);
  EXPECT_TRUE(std::signbit(ParseJson("-0.0")->get_double()));
}

TEST(JsonTest, EveryDoubleComesBackAsItWas) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200'000; ++i) {
    const auto number = std::bit_cast<double>(random());
    if (!std::isfinite(number)) continue;
    const std::string text = json::serialize(json::value(number));
    const auto back = ParseJson(text);
    ASSERT_TRUE(back.ok()) << text << ": " << back.status();
    ASSERT_EQ(std::bit_cast<uint64_t>(back->get_double()), std::bit_cast<uint64_t>(number)) << text;
  }
}

TEST(JsonTest, WhatNoDoubleHoldsIsRefused) {
  for (const char* text : {"1e400", "-1e400", "[1,{\"a\":1e309}]", "1.7976931348623159e308"}) {
    EXPECT_THAT(Refused(text), HasSubstr("is larger than a double can be")) << text;
  }
  EXPECT_THAT(Refused("[2E+310]"), HasSubstr("'2E+310'"));
  EXPECT_NE(Refused("1e99999999999"), "");
  EXPECT_EQ(ParseJson("1e-400")->get_double(), 0.0);
  EXPECT_TRUE(std::signbit(ParseJson("-1e-400")->get_double()));
  EXPECT_EQ(ParseJson("0e400")->get_double(), 0.0);
  for (const char* text : {"NaN", "Infinity", "-Infinity", "[nan]"}) EXPECT_NE(Refused(text), "");
}

TEST(JsonTest, AMemberIsGivenOnce) {
  EXPECT_EQ(Refused(R"({"a":1,"b":2,"\u0061":3})"), "the member 'a' is given twice");
  EXPECT_EQ(Refused(R"([{"a":{"x":1,"x":1}}])"), "the member 'x' is given twice");
  EXPECT_EQ(Written(R"([{"a":1},{"a":2}])"), R"([{"a":1},{"a":2}])");
}

TEST(JsonTest, WhatIsWrongIsSaid) {
  EXPECT_EQ(Refused("[1,2"), "it ends too early");
  EXPECT_EQ(Refused(""), "it ends too early");
  EXPECT_EQ(Refused("{\"a\":x}"), "syntax error at byte 6");
  EXPECT_THAT(Refused("[1] x"), HasSubstr("extra data at byte 5"));
  EXPECT_THAT(Refused("{\"a\":\"\xff\"}"), HasSubstr("at byte"));
  EXPECT_EQ(Refused("[[[]]]", 2), "it is nested deeper than 2 levels");
  EXPECT_TRUE(ParseJson("[[[]]]", 3).ok());
  EXPECT_EQ(Refused(std::string(100'000, '[')), "it is nested deeper than 64 levels");
}

}  // namespace
}  // namespace mlos
