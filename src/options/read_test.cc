// SPDX-License-Identifier: Apache-2.0
#include "options/read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "options/document.h"

namespace mlos::options {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReadTest : public testing::Test {
 protected:
  ReadTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mlos-options-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ReadTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& text) {
    std::string path = directory_ / "mlosd.yaml";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // Lines of "source: text".
  static std::vector<std::string> Faults(const Reading& reading) {
    std::vector<std::string> lines;
    for (const Fault& fault : reading.faults) lines.push_back(fault.source + ": " + fault.text);
    return lines;
  }

  static Reading OfText(std::string_view text) {
    Reading reading;
    ReadConfigText("f.yaml", text, &reading);
    return reading;
  }
  // The only fault of a text.
  static std::string FaultOf(std::string_view text) {
    const Reading reading = OfText(text);
    EXPECT_EQ(1u, reading.faults.size());
    return reading.faults.empty() ? "" : Faults(reading).front();
  }

  std::filesystem::path directory_;
};

TEST_F(ReadTest, FlagOverVariableOverFileOverDefault) {
  const std::string file = Write("workers: 3\nlog-level: error\ndrain-timeout: 3s\n");
  const Reading reading = Read(
      {{"--config", file, "--workers=5"}, {"MLOS_WORKERS=4", "MLOS_LOG_LEVEL=debug", "HOME=/x"}});
  EXPECT_THAT(Faults(reading), IsEmpty());
  const Settings& s = reading.settings;
  EXPECT_EQ(5u, s.Number(Id::kWorkers));
  EXPECT_EQ("--workers", s.Source(Id::kWorkers));
  EXPECT_EQ("debug", s.Text(Id::kLogLevel));
  EXPECT_EQ("MLOS_LOG_LEVEL", s.Source(Id::kLogLevel));
  EXPECT_EQ(std::chrono::seconds(3), s.Duration(Id::kDrainTimeout));
  EXPECT_EQ(file + ":3:16", s.Source(Id::kDrainTimeout));
  EXPECT_EQ(std::chrono::seconds(75), s.Duration(Id::kHttpIdleTimeout));
  EXPECT_EQ("default", s.Source(Id::kHttpIdleTimeout));
}

TEST_F(ReadTest, TheFileMayBeNamedByAVariableAndAFlagNamesAnother) {
  const std::string file = Write("workers: 3\n");
  EXPECT_EQ(3u, Read({{}, {"MLOS_CONFIG=" + file}}).settings.Number(Id::kWorkers));
  const Reading other = Read({{"--config", file}, {"MLOS_CONFIG=/no/such"}});
  EXPECT_THAT(Faults(other), IsEmpty());
  EXPECT_EQ(3u, other.settings.Number(Id::kWorkers));
}

TEST_F(ReadTest, ListsAreRepeatedFlagsCommasOrSequences) {
  const Reading flags = Read({{"--plugin-dir", "/a", "--plugin-dir=/b,c"}, {"MLOS_PLUGIN_DIR=/x"}});
  EXPECT_THAT(flags.settings.List(Id::kPluginDir), ElementsAre("/a", "/b,c"));
  const Reading variable = Read({{}, {"MLOS_PLUGIN_DIR=/x,/y"}});
  EXPECT_THAT(variable.settings.List(Id::kPluginDir), ElementsAre("/x", "/y"));
  EXPECT_THAT(OfText("plugin-dir: [/p, /q]").settings.List(Id::kPluginDir),
              ElementsAre("/p", "/q"));
  EXPECT_THAT(OfText("plugin-dir: /p").settings.List(Id::kPluginDir), ElementsAre("/p"));
  EXPECT_THAT(OfText("http-address: []").settings.List(Id::kHttpAddress), IsEmpty());
}

TEST_F(ReadTest, AnEmptyVariableIsNone) {
  EXPECT_EQ("default", Read({{}, {"MLOS_WORKERS="}}).settings.Source(Id::kWorkers));
}

TEST_F(ReadTest, AllFaultsOfAllSourcesAtOnce) {
  const std::string file = Write(
      "workers: 0\n"
      "# a comment\n"
      "log-levle: info\n"
      "  \n"
      "http-max-body: 64MB\n"
      "plugin-dir:\n"
      "  - /good\n"
      "  - {bad: one}\n"
      "auth: [off]\n"
      "config: /x\n");
  const Reading reading =
      Read({{"--config", file, "--drain-timeout", "-1", "--wrokers", "4", "stray", "--auth"},
            {"MLOS_LOG_LEVEL=loud"}});
  EXPECT_THAT(
      Faults(reading),
      ElementsAre(
          AllOf(HasSubstr(file + ":1:10: workers is '0'"), HasSubstr("from 1 to 256 (threads)")),
          AllOf(HasSubstr(file + ":3:1:"), HasSubstr("did you mean 'log-level'?")),
          AllOf(HasSubstr(file + ":5:16: http-max-body is '64MB'"), HasSubstr("MiB")),
          AllOf(HasSubstr(file + ":8:5:"), HasSubstr("an item of plugin-dir is a mapping")),
          AllOf(HasSubstr(file + ":9:7: auth is a list"), HasSubstr("required or off")),
          AllOf(HasSubstr(file + ":10:1:"), HasSubstr("use --config or MLOS_CONFIG")),
          AllOf(HasSubstr("MLOS_LOG_LEVEL: is 'loud'"), HasSubstr("debug, info, warning or error")),
          HasSubstr("--drain-timeout: is '-1'"),
          AllOf(HasSubstr("--wrokers: "), HasSubstr("did you mean '--workers'?")),
          HasSubstr("'stray': is no option"),
          AllOf(HasSubstr("--auth: has no value"), HasSubstr("required or off"))));
  const std::string report = Report("mlosd", reading.faults);
  EXPECT_THAT(report, HasSubstr("mlosd: 11 errors in the configuration:\n"));
}

TEST_F(ReadTest, AKeyThatComesAgainHidesNothing) {
  const std::string file = Write(
      "workers: 0\n"
      "workers: 300\n"
      "log-levle: info\n"
      "workers: {a: [b]}\n"
      "http-max-body: 64MB\n");
  EXPECT_THAT(
      Faults(Read({{"--config", file}, {}})),
      ElementsAre(AllOf(HasSubstr(file + ":2:1:"), HasSubstr("'workers' again")),
                  AllOf(HasSubstr(file + ":4:1:"), HasSubstr("first on line 1")),
                  HasSubstr(file + ":1:10: workers is '0'"), HasSubstr("did you mean 'log-level'?"),
                  HasSubstr(file + ":5:16: http-max-body is '64MB'")));
}

TEST_F(ReadTest, AHiddenFaultIsReportedToo) {
  const std::string file = Write("workers: many\n");
  EXPECT_THAT(Faults(Read({{"--config", file, "--workers", "4"}, {}})),
              ElementsAre(HasSubstr("'many'")));
}

TEST_F(ReadTest, AFlagThatIsNoListIsGivenOnce) {
  EXPECT_THAT(Faults(Read({{"--workers", "4", "--workers", "4"}, {}})),
              ElementsAre(HasSubstr("more than once")));
}

TEST_F(ReadTest, AVariableThatIsNearlyRightIsWorthAWord) {
  const Reading reading = Read({{}, {"MLOS_LOG_LEVLE=debug", "MLOS_HOST=x", "MLOS_TOKEN=y"}});
  EXPECT_THAT(Faults(reading), IsEmpty());
  ASSERT_EQ(1u, reading.warnings.size());
  EXPECT_EQ("MLOS_LOG_LEVLE", reading.warnings[0].source);
  EXPECT_THAT(reading.warnings[0].text, HasSubstr("MLOS_LOG_LEVEL"));
}

TEST_F(ReadTest, ActionsAreTold) {
  EXPECT_EQ(Action::kHelp, Read({{"--workers", "4", "--help"}, {}}).action);
  EXPECT_EQ(Action::kPrintConfig, Read({{"--print-config"}, {}}).action);
  EXPECT_EQ(Action::kManualMarkdown, Read({{"--manual=markdown"}, {}}).action);
  EXPECT_EQ(Action::kRun, Read({{}, {}}).action);
}

TEST_F(ReadTest, WhatIsPrintedIsReadBack) {
  const Reading first =
      Read({{"--plugin-dir", "/a \"b\" \\c: # d", "--print-addresses", "/p", "--drain-grace",
             "1500ms", "--http-max-body", "1000001", "--data-dir", "- x", "--http-address",
             "unix:/s", "--http-address", "[::1]:0"},
            {"MLOS_LOG_LEVEL=debug"}});
  ASSERT_THAT(Faults(first), IsEmpty());
  const std::string printed = ConfigFileText(first.settings);
  EXPECT_THAT(printed, HasSubstr("log-level: debug  # MLOS_LOG_LEVEL\n"));
  EXPECT_THAT(printed, HasSubstr("workers: 2  # default\n"));
  EXPECT_THAT(printed, HasSubstr("drain-grace: 1500ms  # --drain-grace\n"));
  const Reading second = OfText(printed);
  EXPECT_THAT(Faults(second), IsEmpty());
  for (const Row& row : Table()) {
    EXPECT_TRUE(first.settings.at(row.id).value == second.settings.at(row.id).value) << row.name;
  }
}

TEST_F(ReadTest, FilesThatSetNothingAreNoError) {
  for (const char* text : {"", "\n", "# only a comment: [\n", "---\n", "{}"}) {
    EXPECT_THAT(Faults(OfText(text)), IsEmpty()) << text;
  }
}

TEST_F(ReadTest, HostileFilesAreRefusedWithALine) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i)
      bomb += std::string(i > 0 ? "," : "") + "*" + static_cast<char>(c - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(FaultOf(bomb), AllOf(HasSubstr("f.yaml:1:"), HasSubstr("aliases")));
  EXPECT_THAT(FaultOf("workers: 2\nplugin-dir: " + std::string(5000, '[')), HasSubstr("f.yaml:2:"));
  EXPECT_THAT(FaultOf("plugin-dir: " + std::string(30000, '[')), HasSubstr("f.yaml:1:"));
  EXPECT_THAT(FaultOf(std::string("\x7f"
                                  "ELF\0\0\1\2",
                                  8)),
              HasSubstr("zero byte"));
  EXPECT_THAT(FaultOf("\xff\xfe\xfd"), HasSubstr("f.yaml:1:"));
  EXPECT_THAT(FaultOf("- workers: 2"), HasSubstr("the file is a list"));
  EXPECT_THAT(FaultOf("workers: 2\nworkers: 3"),
              AllOf(HasSubstr("f.yaml:2:1"), HasSubstr("again")));
  EXPECT_THAT(FaultOf("workers: 2\n\tlog-level: x"), HasSubstr("f.yaml:2:"));
  EXPECT_THAT(FaultOf("workers: !!int 2"), HasSubstr("tag"));
  EXPECT_THAT(FaultOf("workers:"), HasSubstr("workers is nothing"));
  EXPECT_THAT(FaultOf("\"bad\\u0007key\": 1"), HasSubstr("\\x07"));
}

TEST_F(ReadTest, FilesThatAreNoneOrTooLargeAreNamed) {
  const auto fault = [](const std::string& path) {
    const Reading reading = Read({{"--config", path}, {}});
    EXPECT_EQ(1u, reading.faults.size());
    return reading.faults.empty() ? "" : reading.faults[0].source + ": " + reading.faults[0].text;
  };
  EXPECT_THAT(fault("/no/such/file"), AllOf(HasSubstr("/no/such/file"), HasSubstr("No such file")));
  EXPECT_THAT(fault("/dev/zero"), HasSubstr("not a plain file"));
  EXPECT_THAT(fault(directory_.string()), HasSubstr("not a plain file"));
  EXPECT_THAT(fault(Write(std::string(kMaxConfigBytes + 1, ' '))), HasSubstr("65536 bytes"));
}

}  // namespace
}  // namespace mlos::options
