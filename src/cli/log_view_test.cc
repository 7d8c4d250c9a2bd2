// SPDX-License-Identifier: Apache-2.0
#include "cli/log_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/log.h"

namespace mlos::cli {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kTime = 1'700'000'000'123;

std::string TextOf(const char* line, const Look& look = {}) {
  return LogLineText(json::parse(line).as_object(), look);
}

// A page with these lines.
json::value Page(const std::vector<uint64_t>& numbers, uint64_t oldest, uint64_t next) {
  json::array lines;
  for (const uint64_t number : numbers) {
    lines.push_back(json::object{{"sequence", number},
                                 {"time", LogTime(kTime)},
                                 {"level", "info"},
                                 {"message", "m" + std::to_string(number)},
                                 {"fields", json::object()}});
  }
  return json::object{{"lines", lines}, {"oldest", oldest}, {"next", next}};
}

TEST(LogLineTextTest, IsTheLineOfTheDaemonsOwnLog) {
  EXPECT_EQ(TextOf(R"({"sequence":1,"time":"2023-11-14T22:13:20.123Z","level":"warning",
                       "message":"it \"died\" of \\x0a",
                       "fields":{"a":"1","empty":"","b":"two words","c":"x=\"y\"","d":"\\x0a"}})"),
            FormatLogLine(
                LogFormat::kText, kTime, LogLevel::kWarning, "it \"died\" of \n",
                {{"a", "1"}, {"empty", ""}, {"b", "two words"}, {"c", "x=\"y\""}, {"d", "\n"}}) +
                "\n");
}

TEST(LogLineTextTest, NothingInItActsOnTheTerminal) {
  EXPECT_EQ(TextOf(R"({"time":"\u001b[2J","level":"in\nfo","message":"a\u009b\r\nforged",
                       "fields":{"na\nme":"v\u001b","n":[1,"\u0007"]}})"),
            "\\x1b[2J in\\x0afo a\\u{9b}\\x0d\\x0aforged na\\x0ame=\"v\\\\x1b\""
            " n=\"[1,\\\"\\\\u0007\\\"]\"\n");
  EXPECT_EQ(TextOf("{}"), "  \n");
  for (const char* time : {"2023-11-14", "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.-12Z", "x"}) {
    const std::string line = json::serialize(json::object{{"time", time}, {"level", "info"}});
    EXPECT_EQ(TextOf(line.c_str()), std::string(time) + " info \n");
  }
}

TEST(LogLineTextTest, OnlyTheLevelIsColoured) {
  const Look colour{.colour = true};
  EXPECT_EQ(TextOf(R"({"time":"t","level":"error","message":"m","fields":{"a":"1"}})", colour),
            "t \x1b[31merror\x1b[0m m a=1\n");
  EXPECT_EQ(TextOf(R"({"time":"t","level":"warning","message":"error"})", colour),
            "t \x1b[33mwarning\x1b[0m error\n");
  EXPECT_EQ(TextOf(R"({"time":"t","level":"info","message":"m"})", colour), "t info m\n");
}

TEST(LogViewTest, PagesFollowEachOther) {
  LogView view({}, {});
  EXPECT_FALSE(view.after().has_value());
  const auto first = view.Show(Page({7, 8}, 3, 9), 100);
  EXPECT_THAT(first.text, testing::MatchesRegex("[^ ]+ info m7\n[^ ]+ info m8\n"));
  EXPECT_EQ(first.lines, 2u);
  EXPECT_THAT(first.notes, IsEmpty()) << "where nobody has read, nothing is missing";
  EXPECT_EQ(view.after(), 8u);
  const auto none = view.Show(Page({}, 3, 9), 1000);
  EXPECT_EQ(none.text, "");
  EXPECT_THAT(none.notes, IsEmpty());
  EXPECT_THAT(view.Show(Page({9, 10}, 9, 11), 1000).notes, IsEmpty());
  EXPECT_EQ(view.after(), 10u);
}

TEST(LogViewTest, WhatIsMissingIsSaid) {
  LogView view({}, {.after = 2});
  EXPECT_THAT(view.Show(Page({4, 6, 9}, 4, 10), 0).notes,
              ElementsAre("line 3 is gone: no more than these are kept", "line 5 is missing",
                          "lines 7 to 8 are missing"));
  EXPECT_THAT(view.Show(Page({20, 21}, 12, 22), 2).notes,
              ElementsAre("lines 10 to 11 are gone: no more than these are kept",
                          "lines 12 to 19 are left out: at most 2 come at once"));
  EXPECT_THAT(view.Show(Page({25}, 12, 26), 0).notes, IsEmpty()) << "so few were asked for";
}

TEST(LogViewTest, NumbersOfOtherLevelsAreNotMissing) {
  LogView view({}, {.all_levels = false, .after = 2});
  EXPECT_THAT(view.Show(Page({4, 9}, 1, 12), 3).notes, IsEmpty());
  EXPECT_EQ(view.after(), 11u) << "what is of another level is read too";
  EXPECT_THAT(view.Show(Page({20, 30, 40}, 1, 41), 3).notes,
              ElementsAre(HasSubstr("before number 20 may be left out")));
  EXPECT_THAT(view.Show(Page({}, 51, 60), 3).notes,
              ElementsAre("lines 41 to 50 are gone: no more than these are kept"));
}

TEST(LogViewTest, ADaemonThatStartedAgainIsReadFromItsBeginning) {
  LogView view({}, {.after = 100});
  const auto shown = view.Show(Page({}, 1, 5), 1000);
  EXPECT_THAT(shown.notes, ElementsAre(HasSubstr("the next line is 5, behind 100")));
  EXPECT_EQ(shown.lines, 0u);
  EXPECT_EQ(view.after(), 0u);
  EXPECT_EQ(view.Show(Page({1, 2, 3, 4}, 1, 5), 1000).lines, 4u);
}

TEST(LogViewTest, WhatIsNoLogIsShownAsItIs) {
  LogView view({}, {});
  for (const char* body : {"7", "[]", "{}", R"({"lines":1,"next":3})"}) {
    EXPECT_EQ(view.Show(json::parse(body), 0).text, std::string(body) + "\n");
    EXPECT_FALSE(view.after().has_value());
  }
  EXPECT_EQ(view.Show(json::parse(R"({"lines":[7,{"level":"x"}],"next":-1})"), 0).text, " x \n");
  EXPECT_EQ(view.after(), 0u);
}

}  // namespace
}  // namespace mlos::cli
