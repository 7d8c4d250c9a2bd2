// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/usual_time.h"

#include <gtest/gtest.h>

namespace mlos::plugin_host {
namespace {

TEST(UsualTime, OneOutlierDoesNotMakeAShortModelLong) {
  UsualTime usual;
  EXPECT_FALSE(usual.known());
  usual.Add(5'000);
  EXPECT_EQ(usual.nanos(), 5'000u);
  usual.Add(4'000'000);
  EXPECT_LT(usual.nanos(), 6'500u);
}

TEST(UsualTime, ALongFirstRunIsForgotten) {
  UsualTime usual;
  usual.Add(4'000'000);
  for (int i = 0; i < 60; ++i) usual.Add(5'000);
  EXPECT_LT(usual.nanos(), 7'000u);
}

TEST(UsualTime, ASlowModelIsBelievedAfterARowOfRuns) {
  UsualTime usual;
  usual.Add(5'000);
  int runs = 0;
  while (usual.nanos() < 50'000 && runs < 100) {
    usual.Add(1'000'000);
    ++runs;
  }
  EXPECT_GT(runs, 5);
  EXPECT_LT(runs, 30);
}

TEST(UsualTime, ATimeOfNothingIsStillKnown) {
  UsualTime usual;
  usual.Add(0);
  EXPECT_TRUE(usual.known());
}

}  // namespace
}  // namespace mlos::plugin_host
