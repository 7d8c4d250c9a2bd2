// SPDX-License-Identifier: Apache-2.0
#include "cli/usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "base/clock.h"

namespace mlos::cli {
namespace {

using testing::HasSubstr;

std::string Body(const std::string& items) { return R"({"usage":[)" + items + "]}"; }
std::string Item(const std::string& name, int requests, int errors, int total_us) {
  return R"({"name":")" + name + R"(","version":"1","in_flight":2,"requests":)" +
         std::to_string(requests) + R"(,"errors":)" + std::to_string(errors) + R"(,"total_us":)" +
         std::to_string(total_us) + R"(,"run_us":)" + std::to_string(total_us / 2) + "}";
}

class UsageViewTest : public testing::Test {
 protected:
  std::string Show(const std::string& items, uint64_t second) {
    return view_.Show(boost::json::parse(Body(items)), second * kNanosPerSecond, {});
  }
  // The words of the line of `name`.
  static std::string LineOf(const std::string& text, const std::string& name) {
    const size_t at = text.find(name + " ");
    if (at == std::string::npos) return "";
    std::string line = text.substr(at, text.find('\n', at) - at);
    std::string words;
    for (const char c : line) {
      if (c != ' ' || (!words.empty() && words.back() != ' ')) words += c;
    }
    return words;
  }
  UsageView view_;
};

TEST_F(UsageViewTest, RatesAreThoseBetweenTwoLooks) {
  const std::string first = Show(Item("a", 100, 1, 100'000) + "," + Item("b", 0, 0, 0), 10);
  EXPECT_EQ(LineOf(first, "a"), "a 1 - 1.0 ms 500 µs 2 1 100");
  EXPECT_EQ(LineOf(first, "b"), "b 1 - - - 2 0 0");
  const std::string second =
      Show(Item("a", 110, 1, 102'000) + "," + Item("b", 50, 3, 75'000'000), 12);
  EXPECT_EQ(LineOf(second, "a"), "a 1 5.0 200 µs 100 µs 2 1 110");
  EXPECT_EQ(LineOf(second, "b"), "b 1 25.0 1.5 s 750.0 ms 2 3 50");
  EXPECT_LT(second.find("b "), second.find("a  "));  // the busier one first
}

TEST_F(UsageViewTest, WhatIsNewCountsFromNothing) {
  Show(Item("a", 1000, 0, 1000), 1);
  EXPECT_EQ(LineOf(Show(Item("a", 4, 0, 40), 2), "a"), "a 1 4.0 10 µs 5 µs 2 0 4");
}

TEST_F(UsageViewTest, ManyModelsAreCut) {
  std::string items;
  for (int i = 0; i < 25; ++i) items += (i > 0 ? "," : "") + Item("m" + std::to_string(i), i, 0, i);
  const std::string text = Show(items, 1);
  EXPECT_THAT(text, HasSubstr("and 5 more\n"));
}

TEST_F(UsageViewTest, WhatIsNoUsageIsNone) {
  EXPECT_EQ("no models\n", Show("", 1));
  EXPECT_EQ("no models\n", view_.Show(boost::json::parse("[1]"), 1, {}));
  EXPECT_THAT(Show("{\"name\":7},3", 2), HasSubstr("MODEL"));
}

}  // namespace
}  // namespace mlos::cli
