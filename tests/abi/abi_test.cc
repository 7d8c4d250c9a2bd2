// SPDX-License-Identifier: Apache-2.0
//
// mlos/smi.h keeps its promise: nothing that a plugin was built against moves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

// Included as C++, so that the header is compiled as that too.
#include "mlos/smi.h"

namespace mlos {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string LayoutNow() {
  std::string text;
  FILE* pipe = ::popen(SMI_LAYOUT_PROGRAM, "r");
  EXPECT_NE(pipe, nullptr);
  if (pipe == nullptr) return text;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  EXPECT_EQ(::pclose(pipe), 0);
  return text;
}

// "field smi_blob.fd" -> "offset 4 size 4": the first two words are the key.
std::map<std::string, std::string> Facts(const std::string& text) {
  std::map<std::string, std::string> facts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find(' ', line.find(' ') + 1);
    facts[line.substr(0, at)] = line.substr(at + 1);
  }
  return facts;
}

std::string GoldenName(unsigned minor) {
  return "smi-" + std::to_string(SMI_VERSION_MAJOR) + "." + std::to_string(minor) + ".golden";
}

TEST(SmiLayout, EqualsTheGoldenFileOfThisVersion) {
  const std::filesystem::path golden =
      std::filesystem::path(SMI_GOLDEN_DIRECTORY) / GoldenName(SMI_VERSION_MINOR);
  const auto expected = Facts(ReadFile(golden));
  const auto now = Facts(LayoutNow());
  const std::string remedy =
      "; if something was appended on purpose, see tests/abi/README.md for the command";
  for (const auto& [key, value] : expected) {
    const auto found = now.find(key);
    if (found == now.end()) {
      ADD_FAILURE() << key << " is gone: that breaks every plugin built so far";
    } else {
      EXPECT_EQ(found->second, value) << key << " changed" << remedy;
    }
  }
  for (const auto& [key, value] : now) {
    EXPECT_TRUE(expected.count(key) == 1) << key << " is new" << remedy;
  }
}

// Every golden file of this major version stays true: fields where they were,
// numbers what they were, structs at least as large.
TEST(SmiLayout, KeepsWhatOlderMinorVersionsPromised) {
  const auto now = Facts(LayoutNow());
  for (unsigned minor = 0; minor <= SMI_VERSION_MINOR; ++minor) {
    const auto old =
        Facts(ReadFile(std::filesystem::path(SMI_GOLDEN_DIRECTORY) / GoldenName(minor)));
    EXPECT_GT(old.size(), 100u) << GoldenName(minor);
    for (const auto& [key, value] : old) {
      ASSERT_TRUE(now.count(key) == 1) << key << " of minor version " << minor << " is gone";
      if (key == "number SMI_VERSION_MINOR") continue;
      if (key.rfind("struct ", 0) != 0) {
        EXPECT_EQ(now.at(key), value) << key << " of minor version " << minor << " changed";
        continue;
      }
      size_t size_then = 0, size_now = 0, align_then = 0, align_now = 0;
      ASSERT_EQ(std::sscanf(value.c_str(), "size %zu align %zu", &size_then, &align_then), 2);
      ASSERT_EQ(std::sscanf(now.at(key).c_str(), "size %zu align %zu", &size_now, &align_now), 2);
      EXPECT_GE(size_now, size_then) << key << " shrank since minor version " << minor;
      EXPECT_EQ(align_now, align_then) << key << " is aligned differently";
    }
  }
}

// The layout program lists by hand; the header says what there is to list.
TEST(SmiLayout, ListsEverythingInTheHeader) {
  std::string header = ReadFile(SMI_HEADER);
  header = std::regex_replace(header, std::regex(R"(/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)"), " ");
  const auto facts = Facts(LayoutNow());
  size_t fields = 0, numbers = 0;
  const std::regex structs(R"(typedef struct (\w+) \{([^}]*)\})");
  for (std::sregex_iterator s(header.begin(), header.end(), structs), end; s != end; ++s) {
    const std::string name = (*s)[1], body = (*s)[2];
    EXPECT_TRUE(facts.count("struct " + name) == 1) << name << " is missing in smi_layout.c";
    std::stringstream declarations(body);
    for (std::string declaration; std::getline(declarations, declaration, ';');) {
      // Either a function pointer "(*name)(…)" or a plain field "type name".
      std::smatch match;
      if (!std::regex_search(declaration, match, std::regex(R"(\(\*(\w+)\)\()")) &&
          !std::regex_search(declaration, match, std::regex(R"((\w+)\s*$)"))) {
        continue;
      }
      ++fields;
      const std::string key = "field " + name + "." + std::string(match[1]);
      EXPECT_TRUE(facts.count(key) == 1) << key << " is missing in smi_layout.c";
    }
  }
  const std::regex enumerators(R"(\b(SMI_[A-Z0-9_]+)\s*=)");
  for (std::sregex_iterator n(header.begin(), header.end(), enumerators), end; n != end; ++n) {
    ++numbers;
    EXPECT_TRUE(facts.count("number " + std::string((*n)[1])) == 1)
        << (*n)[1] << " is missing in smi_layout.c";
  }
  EXPECT_GE(fields, 60u) << "the header is written in a way that this test cannot read";
  EXPECT_GE(numbers, 30u) << "the header is written in a way that this test cannot read";
}

}  // namespace
}  // namespace mlos
