// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log_switches.h"

namespace mlos {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr int64_t kTime = 1'700'000'000'123;  // 2023-11-14T22:13:20.123Z

TEST(LogTest, AJsonLineIsOneObject) {
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, kTime, LogLevel::kWarning, "it \"died\"\n\\",
                          {{"plugin", "p"}, {"empty", ""}, {"path", "a\"b\xff"}}),
            R"({"time":"2023-11-14T22:13:20.123Z","level":"warning",)"
            R"("message":"it \"died\"\\x0a\\","plugin":"p","path":"a\"b\\xff"})");
}

TEST(LogTest, ATextLineEndsWithItsFields) {
  EXPECT_THAT(FormatLogLine(LogFormat::kText, kTime, LogLevel::kInfo, "plugin p is ready",
                            {{"a", "1"}, {"empty", ""}, {"b", "two words"}, {"c", "x=\"y\""}}),
              EndsWith(R"( info plugin p is ready a=1 b="two words" c="x=\"y\"")"));
  EXPECT_THAT(FormatLogLine(LogFormat::kText, kTime, LogLevel::kError, "forged\n2023 info x", {}),
              HasSubstr("forged\\x0a2023"));
}

TEST(LogTest, LevelsAndFormatsHaveNames) {
  LogLevel level = LogLevel::kInfo;
  for (const char* name : {"debug", "info", "warning", "error"}) {
    ASSERT_TRUE(ParseLogLevel(name, &level));
    EXPECT_EQ(name, LogLevelName(level));
  }
  EXPECT_FALSE(ParseLogLevel("Debug", &level));
  LogFormat format = LogFormat::kText;
  EXPECT_TRUE(ParseLogFormat("json", &format));
  EXPECT_EQ(LogFormat::kJson, format);
  EXPECT_FALSE(ParseLogFormat("xml", &format));
}

TEST(LogTest, WhatIsLoggedCanBeReadAgain) {
  const uint64_t before = RecentLog().Read(0, 0, LogLevel::kDebug).next;
  Log(LogLevel::kDebug, "not at this level");
  Log(LogLevel::kInfo, {{"plugin", "p\n"}}, "number {}", 7);
  const auto page = RecentLog().Read(10, before - 1, LogLevel::kInfo);
  ASSERT_EQ(1u, page.lines.size());
  EXPECT_EQ("number 7", page.lines[0].text);
  ASSERT_EQ(1u, page.lines[0].fields.size());
  EXPECT_EQ("p\\x0a", page.lines[0].fields[0].second);
  EXPECT_GT(page.lines[0].time_ms, kTime);
}

TEST(LogLimitTest, LetsThroughSoManyASecondAndSaysHowManyItHeldBack) {
  LogLimit limit(2);
  uint64_t held = 0;
  const uint64_t start = 1'000 * kNanosPerSecond;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(i < 2, limit.Allow(start + static_cast<uint64_t>(i), &held));
    EXPECT_EQ(0u, held);
  }
  EXPECT_TRUE(limit.Allow(start + 3 * kNanosPerSecond, &held));
  EXPECT_EQ(3u, held);
  EXPECT_TRUE(limit.Allow(start + 4 * kNanosPerSecond, &held));
  EXPECT_EQ(0u, held);
}

TEST(LogRingTest, KeepsTheNewestAndShowsGaps) {
  LogRing ring(3, 1 << 20);
  for (int i = 1; i <= 5; ++i) {
    ring.Add(kTime, i == 4 ? LogLevel::kError : LogLevel::kInfo, std::to_string(i));
  }
  const auto all = ring.Read(100, 0, LogLevel::kDebug);
  ASSERT_EQ(3u, all.lines.size());
  EXPECT_EQ("3", all.lines[0].text);
  EXPECT_EQ(3u, all.lines[0].sequence);
  EXPECT_EQ(3u, all.oldest) << "a reader behind number 1 sees that 2 is gone";
  EXPECT_EQ(6u, all.next);
  EXPECT_EQ("5", ring.Read(1, 0, LogLevel::kDebug).lines[0].text);
  EXPECT_EQ(1u, ring.Read(100, 4, LogLevel::kDebug).lines.size());
  EXPECT_EQ("4", ring.Read(100, 0, LogLevel::kWarning).lines.at(0).text);
  EXPECT_TRUE(ring.Read(100, 5, LogLevel::kDebug).lines.empty());
  EXPECT_TRUE(ring.Read(0, 0, LogLevel::kDebug).lines.empty());
  EXPECT_TRUE(ring.Read(100, ~uint64_t{0}, LogLevel::kDebug).lines.empty());
}

TEST(LogRingTest, IsBoundedInBytes) {
  LogRing ring(1'000'000, 10'000);
  const std::string text(1'000, 'x');
  for (int i = 0; i < 100; ++i) ring.Add(kTime, LogLevel::kInfo, text);
  const auto page = ring.Read(1'000, 0, LogLevel::kDebug);
  EXPECT_GE(page.lines.size(), 5u);
  EXPECT_LE(page.lines.size(), 10u);
  ring.Add(kTime, LogLevel::kInfo, std::string(50'000, 'y'));
  EXPECT_EQ(1u, ring.Read(1'000, 0, LogLevel::kDebug).lines.size()) << "the newest always stays";
}

TEST(LogRingTest, WritersAndReadersMayBeMany) {
  LogRing ring(50, 1 << 20);
  std::vector<std::thread> writers;
  writers.reserve(3);
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([&] {
      for (int i = 0; i < 1'000; ++i) ring.Add(kTime, LogLevel::kInfo, "line");
    });
  }
  uint64_t after = 0;
  while (after < 3'000) {
    const auto page = ring.Read(100, after, LogLevel::kDebug);
    for (const LogRing::Line& line : page.lines) {
      ASSERT_GT(line.sequence, after);
      after = line.sequence;
    }
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(3'001u, ring.Read(1, 0, LogLevel::kDebug).next);
}

TEST(LogSwitchesTest, LevelsAreSwitchedOneByOne) {
  const LogLevel before = CurrentLogLevel();
  SetLogLevel(LogLevel::kInfo);
  LogSwitches switches = CurrentLogSwitches();
  EXPECT_TRUE(switches.info && switches.warning && switches.error);
  EXPECT_EQ(0u, switches.verbose);
  switches.info = false;
  switches.verbose = 3;
  SetLogSwitches(switches);
  EXPECT_TRUE(LogEnabled(LogLevel::kDebug));
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kWarning));
  EXPECT_EQ(LogLevel::kDebug, CurrentLogLevel());
  EXPECT_EQ(3u, CurrentLogSwitches().verbose);
  SetLogSwitches({.info = false, .warning = false, .error = false});
  EXPECT_FALSE(LogEnabled(LogLevel::kError));
  SetLogLevel(before);
}

TEST(LogSwitchesTest, TextLinesMaySayTheTimeInUtc) {
  LogSwitches switches = CurrentLogSwitches();
  switches.utc = true;
  SetLogSwitches(switches);
  EXPECT_EQ("2023-11-14T22:13:20.123Z info x",
            FormatLogLine(LogFormat::kText, 1'700'000'000'123, LogLevel::kInfo, "x", {}));
  switches.utc = false;
  SetLogSwitches(switches);
}

}  // namespace
}  // namespace mlos
