// SPDX-License-Identifier: Apache-2.0
#include "options/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace mlos::options {
namespace {

using testing::HasSubstr;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(DocumentTest, HelpHasEveryOptionWithItsDefault) {
  const std::string help = Help();
  for (const Row& row : Table()) {
    EXPECT_THAT(help, HasSubstr("--" + std::string(row.name) + " " + Placeholder(row)));
  }
  EXPECT_THAT(help, HasSubstr("256 threads"));
  EXPECT_THAT(help, HasSubstr("default: 75s"));
  for (const std::string& line : Lines(help)) EXPECT_LE(line.size(), 100u) << line;
}

TEST(DocumentTest, TheManualIsAPage) {
  const std::string manual = Manual("1.2.3");
  EXPECT_THAT(manual, HasSubstr(".TH MLOSD 8"));
  EXPECT_THAT(manual, HasSubstr("mlOS Core 1.2.3"));
  for (const Row& row : Table()) EXPECT_THAT(manual, HasSubstr(EnvironmentName(row.name)));
  for (const std::string& line : Lines(manual)) {
    // A line that begins with a dot is a request; all of ours are these.
    if (line[0] != '.') continue;
    EXPECT_TRUE(line.compare(0, 3, ".\\\"") == 0 || line.compare(0, 3, ".TH") == 0 ||
                line.compare(0, 3, ".SH") == 0 || line.compare(0, 3, ".SS") == 0 ||
                line.compare(0, 3, ".TP") == 0 || line.compare(0, 3, ".PP") == 0 ||
                line.compare(0, 3, ".B ") == 0)
        << line;
  }
}

TEST(DocumentTest, TheReferencePageIsUpToDate) {
  std::ifstream file(MLOS_SOURCE_DIR "/docs/options.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(Markdown(), text.str()) << "make it anew: mlosd --manual=markdown > docs/options.md";
}

// Every number of HTTP, gRPC and the local socket is a limit: the page of limits has its line, with
// this default, and no line about an option that there is not.
TEST(DocumentTest, ThePageOfLimitsHasThemAll) {
  std::ifstream file(MLOS_SOURCE_DIR "/docs/limits.md");
  std::ostringstream text;
  text << file.rdbuf();
  for (const Row& row : Table()) {
    const bool limits =
        row.group == Group::kHttp || row.group == Group::kGrpc || row.group == Group::kIpc;
    if (!limits || !IsNumber(row.type)) continue;
    EXPECT_THAT(text.str(), HasSubstr("| `" + std::string(row.name) + "` | " +
                                      std::string(row.initial.text) + " | "));
  }
  for (const std::string& line : Lines(text.str())) {
    if (line.rfind("| `", 0) != 0) continue;
    const std::string name = line.substr(3, line.find('`', 3) - 3);
    EXPECT_TRUE(std::any_of(Table().begin(), Table().end(), [&](const Row& row) {
      return row.name == name;
    })) << name;
  }
}

}  // namespace
}  // namespace mlos::options
