// SPDX-License-Identifier: Apache-2.0
//
// mlos logs against a real daemon, over TCP and over a Unix socket.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <future>
#include <sstream>

#include "base/owned_fd.h"
#include "fixture.h"
#include "mlos_process.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CliLogsTest : public testing::TestWithParam<const char*> {
 protected:
  CliLogsTest() : daemon_({"--http-address", "unix:" + (dir_ / "sock")}) {
    const bool tcp = std::string_view(GetParam()) == "tcp";
    options_.environment["MLOS_HOST"] =
        tcp ? "http://" + daemon_.address() : "unix://" + (dir_ / "sock");
    // The daemon has it from us; times are local.
    const char* zone = std::getenv("TZ");  // NOLINT(concurrency-mt-unsafe)
    if (zone != nullptr) options_.environment["TZ"] = zone;
  }

  MlosRun Logs(std::vector<std::string> args) const {
    args.insert(args.begin(), "logs");
    return RunMlos(args, options_);
  }
  // Runs it beside us.
  std::future<MlosRun> LogsBeside(const std::vector<std::string>& args) const {
    return std::async(std::launch::async, [this, args] { return Logs(args); });
  }
  uint64_t NextNumber() {
    return ParseJson(daemon_.Get("/api/v1/logs?tail=0").body).at("next").to_number<uint64_t>();
  }
  void LogOneLine() { EXPECT_STATUS(200, daemon_.Post("/api/v1/log", R"({"level":"info"})")); }

  const TempDir dir_;
  Daemon daemon_;
  MlosOptions options_;
};

INSTANTIATE_TEST_SUITE_P(Over, CliLogsTest, testing::Values("tcp", "unix"),
                         [](const auto& over) { return std::string(over.param); });

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();  // a terminal's
    lines.push_back(line);
  }
  return lines;
}

TEST_P(CliLogsTest, LinesAreThoseThatTheDaemonWrites) {
  daemon_.BringTestModel("echo");
  const MlosRun all = Logs({});
  EXPECT_EQ(0, all.exit) << all.err;
  EXPECT_EQ("", all.err);
  EXPECT_THAT(all.out, HasSubstr(" info model m-echo version 1 is ready"));
  const std::vector<std::string> lines = LinesOf(all.out);
  EXPECT_EQ(lines.size(), NextNumber() - 1);
  const std::string log = daemon_.process().log();
  for (const std::string& line : lines) EXPECT_THAT(log, HasSubstr(line + "\n"));
  EXPECT_EQ(LinesOf(Logs({"--tail", "1"}).out), std::vector<std::string>{lines.back()});
  EXPECT_EQ("", Logs({"--level", "error"}).out);
  EXPECT_EQ(Logs({"-o", "json"}).out, daemon_.Get("/api/v1/logs").body);
  EXPECT_EQ(1, Logs({"--tail", "1001"}).exit);
  EXPECT_EQ(2, Logs({"--tail", "many"}).exit);
}

TEST_P(CliLogsTest, WhatAPluginWrote) {
  daemon_.BringTestModel("chatty");
  EXPECT_STATUS(200, daemon_.InferJson("m-chatty", R"({"inputs":[{"name":"X","shape":[1],)"
                                                   R"("datatype":"FP32","data":[1]}]})"));
  const std::string path = "/api/v1/plugins/chatty/versions/1.0.0/logs";
  ASSERT_TRUE(WaitUntil([&] { return At(daemon_.Get(path), "/next") == "8193"; }));
  const MlosRun run = Logs({"chatty"});
  EXPECT_EQ(0, run.exit) << run.err;
  EXPECT_EQ("", run.err) << "the newest were asked for";
  EXPECT_EQ(100u, LinesOf(run.out).size());
  EXPECT_THAT(run.out, HasSubstr("which nobody asked for"));
  EXPECT_THAT(run.out, HasSubstr("\\x1b["));
  EXPECT_THAT(run.out, Not(HasSubstr("\x1b")));
  EXPECT_EQ(run.out, Logs({"chatty", "1.0.0"}).out);
  EXPECT_EQ(Logs({"chatty", "-o", "json"}).out, daemon_.Get(path).body);
  const MlosRun gap = Logs({"chatty", "1.0.0", "--after", "10"});
  EXPECT_EQ(0, gap.exit);
  const std::string oldest = At(daemon_.Get(path), "/oldest");
  EXPECT_EQ(gap.err, "note: lines 11 to " + std::to_string(std::stoul(oldest) - 1) +
                         " are gone: no more than these are kept\nnote: lines " + oldest +
                         " to 8092 are left out: at most 100 come at once\n");
  EXPECT_EQ(4, Logs({"chatti"}).exit);
  EXPECT_THAT(Logs({"chatti"}).err, HasSubstr("hint: did you mean 'chatty'? mlos logs chatty\n"));
  EXPECT_EQ(4, Logs({"chatty", "9.9.9"}).exit);
}

TEST_P(CliLogsTest, FollowShowsEachLineOnceAndEndsWithTheDaemon) {
  options_.output = dir_ / "followed";
  WriteWhole(options_.output, "");
  std::future<MlosRun> running = LogsBeside({"--follow", "-o", "json"});
  const uint64_t next = NextNumber();
  for (uint64_t i = 0; i < 3; ++i) {  // in three looks at least
    if (i > 0) LogOneLine();
    const std::string seen = "\"next\":" + std::to_string(next + i) + "}\n";
    ASSERT_TRUE(WaitUntil([&] {
      return ReadWhole(options_.output).find(seen) != std::string::npos;
    })) << ReadWhole(options_.output);
  }
  daemon_.Forget();
  daemon_.process().Signal(SIGTERM);
  EXPECT_EQ(0, daemon_.process().WaitExit().value_or(-1));
  const MlosRun run = running.get();
  EXPECT_EQ(run.exit, 3) << run.err;
  uint64_t expected = 1;
  for (const std::string& body : LinesOf(ReadWhole(options_.output))) {
    const boost::json::value page = ParseJson(body);
    for (const auto& line : page.at("lines").as_array()) {
      EXPECT_EQ(line.at("sequence").to_number<uint64_t>(), expected++);
    }
  }
  EXPECT_GE(expected, next + 2);
}

TEST_P(CliLogsTest, FollowFromNowOnShowsWhatComes) {
  options_.terminal = true;
  options_.environment["TERM"] = "xterm";
  options_.until = "the log's level is info now\r\n";
  std::future<MlosRun> running = LogsBeside({"-f", "--tail", "0"});
  EXPECT_TRUE(WaitUntil([&] {
    LogOneLine();
    return running.wait_for(std::chrono::milliseconds(50)) == std::future_status::ready;
  }));
  const MlosRun run = running.get();
  EXPECT_EQ(run.exit, 128 + SIGINT) << run.out;
  EXPECT_THAT(run.out, Not(HasSubstr("is listening"))) << "from before";
}

TEST_P(CliLogsTest, FollowEndsWithItsReader) {
  options_.output = dir_ / "pipe";
  ASSERT_EQ(0, mkfifo(options_.output.c_str(), 0600));
  std::future<MlosRun> running = LogsBeside({"--follow", "--tail", "1"});
  {
    const OwnedFd reader(open(options_.output.c_str(), O_RDONLY | O_CLOEXEC));
    char first = 0;
    EXPECT_EQ(1, read(reader.get(), &first, 1));
  }
  const MlosRun run = running.get();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(run.err, "");
}

TEST(CliLogsAloneTest, FollowSaysSoWhenThereIsNoDaemon) {
  MlosOptions options;
  options.environment = {{"MLOS_HOST", "http://127.0.0.1:1"}};
  const MlosRun run = RunMlos({"logs", "-f"}, options);
  EXPECT_EQ(run.exit, 3);
  EXPECT_THAT(run.err, StartsWith("error: no daemon answers at http://127.0.0.1:1"));
}

TEST(CliLogsAloneTest, LevelsHaveColoursOnTerminals) {
  Daemon daemon({"--log-level", "debug"});
  daemon.Post("/v2/models/nobody/infer", "{}");
  MlosOptions options;
  options.environment = {{"MLOS_HOST", "http://" + daemon.address()}, {"TERM", "xterm"}};
  EXPECT_THAT(RunMlos({"logs"}, options).out, Not(HasSubstr("\x1b")));
  options.terminal = true;
  EXPECT_THAT(RunMlos({"logs"}, options).out, HasSubstr(" \x1b[2mdebug\x1b[0m "));
  options.environment["NO_COLOR"] = "1";
  EXPECT_THAT(RunMlos({"logs"}, options).out, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace mlos::test
