// SPDX-License-Identifier: Apache-2.0
//
// Flags, variables and the configuration file, as the real daemon takes them.
#include <fmt/core.h>

#include "fixture.h"

namespace mlos::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(ConfigurationTest, TheFileTheVariablesAndTheFlagsAreInEffect) {
  const TempDir dir;
  WriteWhole(dir / "mlosd.yaml",
             "auth: off\n"
             "metrics-address: off\n"
             "http-address: [\"127.0.0.1:0\", \"unix:" +
                 dir.path() +
                 "/http\"]\n"
                 "data-dir: " +
                 dir.path() +
                 "/nowhere/to/be/seen\n"
                 "http-max-management-body: 1KiB\n"
                 "log-level: error\n");
  DaemonProcess daemon({"--config", dir / "mlosd.yaml", "--print-addresses", dir / "addresses"},
                       dir / "log", {"MLOS_DATA_DIR=" + (dir / "data"), "MLOS_LOG_LEVEL=info"});
  ASSERT_TRUE(WaitUntil([&] { return !ReadWhole(dir / "addresses").empty(); })) << daemon.log();
  EXPECT_NE("", ReadWhole("/proc/" + std::to_string(daemon.pid()) + "/stat"));
  HttpClient client("unix:" + (dir / "http"));
  EXPECT_STATUS(413, client.Send("POST", "/api/v1/plugins", std::string(2000, ' ')));
  EXPECT_STATUS(400, client.Send("POST", "/api/v1/plugins", std::string(1000, ' ')));
  EXPECT_THAT(daemon.log(), HasSubstr("HTTP on unix:"));
  EXPECT_EQ(3, RunMlosd({"--auth", "off", "--data-dir", dir / "data"}).status);
  daemon.Signal(SIGTERM);
  EXPECT_EQ(0, daemon.WaitExit().value_or(-1)) << daemon.log();
}

TEST(ConfigurationTest, AllErrorsAtOnceEachWithItsPlace) {
  const TempDir dir;
  const std::string file = dir / "mlosd.yaml";
  WriteWhole(file,
             "wrokers: 3\n"
             "\n"
             "http-max-body: 2GiB\n"
             "drain-timeout: soon\n");
  const Ended ended = RunMlosd({"--config", file, "--data-dir", dir / "data", "--log-levle=info",
                                "--http-address", "0.0.0.0:1"},
                               {"MLOS_WORKERS=1000", "MLOS_LOG_LEVLE=info"});
  EXPECT_EQ(2, ended.status);
  EXPECT_THAT(ended.output,
              AllOf(HasSubstr("7 errors"),
                    HasSubstr(file + ":1:1: there is no option 'wrokers' "
                                     "(did you mean 'workers'?)"),
                    HasSubstr(file + ":3:16: http-max-body is 2GiB, more than http-max-buffered"),
                    HasSubstr(file + ":4:16: drain-timeout is 'soon': give a duration"),
                    HasSubstr("MLOS_WORKERS: is '1000': give a whole number from 1 to 256"),
                    HasSubstr("--log-levle: there is no such option (did you mean '--log-level'?)"),
                    HasSubstr("--http-address: 0.0.0.0:1: ")));
  EXPECT_THAT(ended.output, HasSubstr("--auth, by default: "));
  EXPECT_THAT(ended.output, HasSubstr("did you mean MLOS_LOG_LEVEL?"));
  EXPECT_EQ("", ReadWhole(dir / "data/lock"));
}

TEST(ConfigurationTest, WhatIsPrintedIsTakenAgain) {
  const TempDir dir;
  const Ended first = RunMlosd(
      {"--print-config", "--auth", "off", "--plugin-dir", dir / "a b", "--plugin-dir", dir / "c"},
      {"MLOS_DRAIN_GRACE=1500ms"});
  ASSERT_EQ(0, first.status) << first.output;
  EXPECT_THAT(first.output, HasSubstr("drain-grace: 1500ms  # MLOS_DRAIN_GRACE\n"));
  WriteWhole(dir / "mlosd.yaml", first.output);
  const Ended second = RunMlosd({"--print-config", "--config", dir / "mlosd.yaml"});
  ASSERT_EQ(0, second.status) << second.output;
  EXPECT_THAT(second.output, HasSubstr("auth: off  # " + (dir / "mlosd.yaml") + ":"));
  // All the same but for where it came from.
  const auto values = [](const std::string& text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      const std::string line = text.substr(at, end - at);
      if (!line.empty() && line[0] != '#') out += line.substr(0, line.find("  # ")) + "\n";
      at = end + 1;
    }
    return out;
  };
  EXPECT_EQ(values(first.output), values(second.output));
}

TEST(ConfigurationTest, HostileFilesEndItAtOnceWithAPlace) {
  const TempDir dir;
  const std::string file = dir / "mlosd.yaml";
  const auto refused = [&](const std::string& content) {
    WriteWhole(file, content);
    const Ended ended = RunMlosd({"--auth", "off", "--data-dir", dir / "data", "--config", file});
    EXPECT_EQ(2, ended.status) << content.substr(0, 100);
    EXPECT_THAT(ended.output, HasSubstr("an error in the configuration:\n  " + file + ":"));
    EXPECT_THAT(ended.output, Not(HasSubstr("terminate")));
    return ended.output;
  };
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'p'; ++c) {
    const auto before = static_cast<char>(c - 1);
    bomb += fmt::format("{0}: &{0} [*{1}, *{1}]\n", c, before);
  }
  EXPECT_THAT(refused(bomb), HasSubstr("anchors and aliases are not accepted"));
  EXPECT_THAT(refused(std::string(60'000, '[')), HasSubstr(":1:"));
  EXPECT_THAT(refused(std::string(1 << 20, '#')), HasSubstr("65536 bytes"));
  EXPECT_THAT(refused(ReadWhole("/proc/self/exe").substr(0, 4096)), HasSubstr("zero byte"));
  EXPECT_THAT(refused("workers: 2\nlog-level: [\n"), HasSubstr("not valid YAML"));
}

TEST(ConfigurationTest, TheManualIsPrinted) {
  const Ended manual = RunMlosd({"--manual"});
  EXPECT_EQ(0, manual.status);
  EXPECT_THAT(manual.output, HasSubstr(".TH MLOSD 8"));
  EXPECT_EQ(ReadWhole(SourcePath("docs/options.md")), RunMlosd({"--manual=markdown"}).output);
}

}  // namespace
}  // namespace mlos::test
