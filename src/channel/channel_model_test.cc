// SPDX-License-Identifier: Apache-2.0
//
// The protocol under every interleaving (model_explorer.h): each submission is
// answered exactly once or taken back, never by two hosts, nothing is claimed
// twice at a time, and nothing waits for ever, whoever dies when.
#include <gtest/gtest.h>

#include "base/sanitized.h"
#include "channel/model_explorer.h"

namespace mlos::channel::model {
namespace {

std::string Story(const Result& result) {
  std::string text = result.failure;
  for (const std::string& step : result.trace) text += "\n  " + step;
  return text;
}

struct Case {
  const char* name;
  Config config;
};

class ModelTest : public ::testing::TestWithParam<Case> {};

TEST_P(ModelTest, EveryInterleavingIsRight) {
  const Result result = Explore(GetParam().config);
  EXPECT_EQ(result.failure, "") << Story(result);
  EXPECT_GT(result.ends, 0u);
  EXPECT_GT(result.states, 1000u);
  RecordProperty("states", std::to_string(result.states));
  std::printf("%s: %llu states, %llu ends\n", GetParam().name,
              static_cast<unsigned long long>(result.states),
              static_cast<unsigned long long>(result.ends));
}

std::vector<Case> Cases() {
  std::vector<Case> cases = {
      {"OneRequestEachAndTwoDeaths", {1, {1, 1}, {true, false}, 2, 0}},
      {"AnEntryUsedTwiceAndADeath", {1, {2, 1}, {false, false}, 1, 0}},
      {"AnEntryUsedTwiceAndTakenBack", {1, {2, 1}, {true, true}, 0, 0}},
  };
  // Under a sanitizer every step costs several times as much, and finds the same.
  if (kSanitized) return cases;
  cases.push_back({"OneRequestEachAndAHandOver", {1, {1, 1}, {true, false}, 0, 1}});
  cases.push_back({"AHandOverAndTwoDeaths", {1, {2, 0}, {true, false}, 2, 1}});
  cases.push_back({"TwoEntriesAndADeath", {2, {2, 1}, {false, false}, 1, 0}});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, ModelTest, ::testing::ValuesIn(Cases()),
                         [](const auto& param) { return param.param.name; });

// The same with one thing done wrong: the explorer must find out.
class MutationTest : public ::testing::TestWithParam<Case> {};

TEST_P(MutationTest, IsNoticed) {
  const Result result = Explore(GetParam().config);
  EXPECT_NE(result.failure, "") << "after " << result.states << " states";
  EXPECT_FALSE(result.trace.empty());
  std::printf("%s: %s, after %zu steps\n", GetParam().name, result.failure.c_str(),
              result.trace.size());
}

INSTANTIATE_TEST_SUITE_P(
    All, MutationTest,
    ::testing::Values(
        Case{"ClaimByStore", {1, {1, 0}, {true, false}, 0, 0, Mutation::kClaimByStore}},
        Case{"RetractByStore", {1, {1, 0}, {true, false}, 0, 0, Mutation::kRetractByStore}},
        Case{"ReplayWithoutReaping", {1, {1, 0}, {}, 0, 1, Mutation::kReplayWithoutReaping}},
        Case{"NoScan", {1, {1, 0}, {}, 1, 0, Mutation::kNoScan}},
        Case{"NoRecovery", {1, {1, 0}, {}, 1, 0, Mutation::kNoRecovery}},
        Case{"HintBeforeWord", {1, {1, 0}, {}, 0, 0, Mutation::kHintBeforeWord}},
        Case{"LookBeforeHint", {1, {2, 0}, {true, false}, 0, 0, Mutation::kLookBeforeHint}},
        Case{"SleepWithoutLooking", {1, {1, 0}, {}, 0, 0, Mutation::kSleepWithoutLooking}},
        Case{"NoWakeAfterHint", {1, {1, 0}, {}, 0, 0, Mutation::kNoWakeAfterHint}}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace mlos::channel::model
