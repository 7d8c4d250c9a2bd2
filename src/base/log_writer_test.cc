// SPDX-License-Identifier: Apache-2.0
#include "base/log_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned_fd.h"

namespace mlos {
namespace {

using testing::HasSubstr;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(0, pipe2(ends, O_CLOEXEC));
    read = OwnedFd(ends[0]);
    write = OwnedFd(ends[1]);
  }
  // Until the writing end is closed.
  std::string ReadAll() const {
    std::string out;
    char buffer[65536];
    for (ssize_t n = 0; (n = ::read(read.get(), buffer, sizeof buffer)) > 0;) {
      out.append(buffer, static_cast<size_t>(n));
    }
    return out;
  }
  OwnedFd read;
  OwnedFd write;
};

TEST(LogWriterTest, WritesEveryLineWholeAndInOrder) {
  Pipe pipe;
  std::string got;
  std::thread reader([&] { got = pipe.ReadAll(); });
  std::string expected;
  {
    LogWriter writer(pipe.write.get());
    for (int i = 0; i < 2000; ++i) {
      const std::string line = std::to_string(i) + std::string(i % 97 == 0 ? 9000 : 20, 'x');
      writer.Add(line);
      ASSERT_EQ(0u, writer.dropped()) << i;
      expected += line + "\n";
      if (i % 50 == 0) std::this_thread::yield();
    }
  }
  pipe.write.Reset();
  reader.join();
  EXPECT_TRUE(got == expected);
}

TEST(LogWriterTest, AReaderThatTakesNothingHoldsUpNobody) {
  Pipe pipe;
  const std::string line(1000, 'x');
  const uint64_t began = NowNanos();
  uint64_t dropped = 0;
  {
    LogWriter writer(pipe.write.get(), 100'000);
    for (int i = 0; i < 5000; ++i) writer.Add(line);
    dropped = writer.dropped();
    EXPECT_GT(dropped, 4000u);  // 64 kB in the pipe, and twice what may wait
    EXPECT_LT(NowNanos() - began, kNanosPerSecond);
  }
  EXPECT_LT(NowNanos() - began, 5 * kNanosPerSecond);  // nor the end, for long
}

TEST(LogWriterTest, WhatWasDroppedIsToldOnce) {
  Pipe pipe;
  LogWriter writer(pipe.write.get(), 2000);
  const std::string line(999, 'x');
  uint64_t told = 0;
  while (writer.dropped() < 3) {
    writer.Add(line, &told);
    EXPECT_EQ(0u, told);
  }
  char buffer[65536];
  do {  // until there is room again
    ASSERT_GT(::read(pipe.read.get(), buffer, sizeof buffer), 0);
  } while (!writer.Add("y", &told));
  EXPECT_EQ(writer.dropped(), told);
  writer.GiveBack(told);  // could not be said
  EXPECT_TRUE(writer.Add("z"));
  uint64_t again = 0;
  EXPECT_TRUE(writer.Add("z", &again));
  EXPECT_EQ(told, again);
  EXPECT_TRUE(writer.Add("z", &again));
  EXPECT_EQ(0u, again);
}

// Of a terminal the system says that there is room, and then holds whoever writes a whole piece.
TEST(LogWriterTest, ATerminalThatIsStoppedHoldsUpTheEndForAWhileOnly) {
  OwnedFd reader(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  ASSERT_EQ(0, grantpt(reader.get()));
  ASSERT_EQ(0, unlockpt(reader.get()));
  char name[64];
  ASSERT_EQ(0, ptsname_r(reader.get(), name, sizeof name));
  const OwnedFd terminal(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(terminal);
  const uint64_t began = NowNanos();
  {
    LogWriter writer(terminal.get());
    for (int i = 0; i < 500; ++i) writer.Add(std::string(1000, 'x'));
  }
  EXPECT_LT(NowNanos() - began, 5 * kNanosPerSecond);
  reader.Reset();  // which lets the thread go
}

TEST(LogWriterTest, ADescriptorThatNobodyReadsCostsTheLinesAlone) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.read.Reset();
  LogWriter writer(pipe.write.get());
  writer.Add("lost");
  while (writer.dropped() == 0) std::this_thread::yield();
  EXPECT_EQ(1u, writer.dropped());
}

TEST(LogWriterTest, TheLogGoesThroughItAndSaysWhatIsMissing) {
  Pipe pipe;
  {
    LogWriter writer(pipe.write.get(), 4096);
    SetLogWriter(&writer);
    const std::string text(1000, 'x');
    while (LogLinesDropped() < 10) LogLine(LogLevel::kWarning, text);
    std::string got;
    char buffer[65536];
    while (got.find("lines of this log were dropped") == std::string::npos) {
      const ssize_t n = ::read(pipe.read.get(), buffer, sizeof buffer);
      ASSERT_GT(n, 0);
      got.append(buffer, static_cast<size_t>(n));
      LogLine(LogLevel::kInfo, "again");
    }
    EXPECT_THAT(got, HasSubstr("warning "));
    SetLogWriter(nullptr);
  }
  EXPECT_EQ(0u, LogLinesDropped());  // of the writer that is no more
}

// The line that says how many are missing may find no room itself.
TEST(LogWriterTest, EveryLineThatIsMissingIsToldOf) {
  Pipe pipe;
  LogWriter writer(pipe.write.get(), 1100);
  SetLogWriter(&writer);
  const std::string text(1000, 'x');
  while (LogLinesDropped() < 10) LogLine(LogLevel::kWarning, text);
  const std::string after = " lines of this log were dropped";
  uint64_t told = 0;
  std::string got;
  char buffer[65536];
  while (told == 0 || told < LogLinesDropped()) {
    const ssize_t n = ::read(pipe.read.get(), buffer, sizeof buffer);
    ASSERT_GT(n, 0);
    got.append(buffer, static_cast<size_t>(n));
    LogLine(LogLevel::kWarning, text);
    LogLine(LogLevel::kInfo, "again");
    told = 0;
    for (size_t at = got.find(after); at != std::string::npos; at = got.find(after, at + 1)) {
      told += std::stoull(got.substr(got.rfind(' ', at - 1) + 1));
    }
    ASSERT_LE(told, LogLinesDropped());
  }
  EXPECT_EQ(told, LogLinesDropped());
  SetLogWriter(nullptr);
}

}  // namespace
}  // namespace mlos
