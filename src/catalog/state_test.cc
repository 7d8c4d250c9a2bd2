// SPDX-License-Identifier: Apache-2.0
#include "catalog/state.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

namespace mlos::catalog {
namespace {

constexpr char kPage[] = MLOS_SOURCE_DIR "/docs/changes.md";

// With MLOS_WRITE_DOCS=1 in the environment the page gets the present tables.
TEST(StateTest, ThePageHasTheTables) {
  std::ifstream file(kPage);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const size_t begin = page.find("## Plugin versions\n");
  const size_t end = page.find("## What is not a state\n");
  ASSERT_NE(std::string::npos, begin);
  ASSERT_NE(std::string::npos, end);
  ASSERT_LT(begin, end);
  // One thread.  NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (std::getenv("MLOS_WRITE_DOCS") != nullptr) {
    std::ofstream(kPage) << page.substr(0, begin) << DescribeChanges() << page.substr(end);
    GTEST_SKIP() << "the page was written";
  }
  EXPECT_EQ(DescribeChanges(), page.substr(begin, end - begin))
      << "make it anew: MLOS_WRITE_DOCS=1 build/dev/tests/catalog_test --gtest_filter=StateTest.*";
}

TEST(StateTest, EveryAnswerSaysSomethingAndRefusalsSayWhatToDo) {
  for (const auto& rows : {PluginChanges(), ModelChanges()}) {
    std::set<std::string_view> names;
    for (const ChangeRow& row : rows) {
      EXPECT_TRUE(names.insert(row.name).second) << row.name;
      for (size_t s = 0; s < kStates; ++s) {
        const Answer& answer = row.answers[s];
        EXPECT_NE("", answer.text) << row.name << " " << s;
        const bool refused = answer.verdict == Verdict::kRefuse;
        EXPECT_EQ(refused, answer.code != StatusCode::kOk) << row.name << " " << s;
        const Status status = Refusal(answer, "plugin x 1.0.0");
        EXPECT_EQ(answer.code, status.code());
        if (refused) {
          EXPECT_EQ("plugin x 1.0.0 " + std::string(answer.text), Message(status));
        }
      }
    }
  }
}

TEST(StateTest, AChangeThatIsNotOfTheObjectIsRefused) {
  EXPECT_EQ(Verdict::kRefuse, PluginAnswer(Change::kInfer, State::kReady).verdict);
  EXPECT_EQ(Verdict::kRefuse, ModelAnswer(Change::kSwapTo, State::kReady).verdict);
}

}  // namespace
}  // namespace mlos::catalog
