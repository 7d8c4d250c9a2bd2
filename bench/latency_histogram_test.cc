// SPDX-License-Identifier: Apache-2.0
#include "latency_histogram.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace mlos::bench {
namespace {

TEST(LatencyHistogram, IsEmptyAtFirst) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Quantile(0.5), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.mean(), 0.0);
}

TEST(LatencyHistogram, CountsSmallTimesExactly) {
  LatencyHistogram histogram;
  for (uint64_t nanos = 1; nanos <= 200; ++nanos) histogram.Record(nanos);
  EXPECT_EQ(histogram.Quantile(0.0), 1u);
  EXPECT_EQ(histogram.Quantile(0.5), 100u);
  EXPECT_EQ(histogram.Quantile(0.99), 198u);
  EXPECT_EQ(histogram.Quantile(1.0), 200u);
  EXPECT_DOUBLE_EQ(histogram.mean(), 100.5);
}

TEST(LatencyHistogram, StaysWithinItsErrorAtEveryMagnitude) {
  for (uint64_t nanos = 1; nanos < (uint64_t{1} << 62); nanos += nanos / 8 + 1) {
    LatencyHistogram histogram;
    histogram.Record(1);
    histogram.Record(nanos);
    histogram.Record(UINT64_MAX);
    const auto found = static_cast<double>(histogram.Quantile(0.5));
    const auto exact = static_cast<double>(nanos);
    EXPECT_NEAR(found, exact, exact * 0.008) << nanos;
  }
}

TEST(LatencyHistogram, TakesTheLargestTime) {
  LatencyHistogram histogram;
  histogram.Record(UINT64_MAX);
  EXPECT_EQ(histogram.Quantile(0.5), UINT64_MAX);
}

TEST(LatencyHistogram, ForgetsWhenCleared) {
  LatencyHistogram histogram;
  histogram.Record(5000);
  histogram.Clear();
  histogram.Record(7);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max(), 7u);
}

}  // namespace
}  // namespace mlos::bench
