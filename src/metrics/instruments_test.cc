// SPDX-License-Identifier: Apache-2.0
#include "metrics/instruments.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>

namespace mlos::metrics {
namespace {

// The plain way to find a bucket.
size_t Search(uint64_t nanos) {
  size_t i = 0;
  while (i < kBounds.size() && nanos > kBounds[i]) ++i;
  return i;
}

TEST(HistogramTest, FindsTheBucketThatASearchFinds) {
  for (const uint64_t bound : kBounds) {
    for (int64_t off = -2; off <= 2; ++off) {
      const uint64_t value = bound + static_cast<uint64_t>(off);
      EXPECT_EQ(Search(value), BucketOf(value)) << value;
    }
  }
  for (int bits = 0; bits < 64; ++bits) {
    for (int64_t off = -1; off <= 1; ++off) {
      const uint64_t value = (uint64_t{1} << bits) + static_cast<uint64_t>(off);
      EXPECT_EQ(Search(value), BucketOf(value)) << value;
    }
  }
  uint64_t value = 1;
  for (int i = 0; i < 200'000; ++i) {
    value = value * 6364136223846793005u + 1442695040888963407u;
    const uint64_t some = value >> (value & 63);
    ASSERT_EQ(Search(some), BucketOf(some)) << some;
  }
  EXPECT_EQ(kBuckets - 1, BucketOf(~uint64_t{0}));
}

TEST(HistogramTest, BoundsAreWrittenAsTheyAre) {
  for (size_t i = 0; i < kBounds.size(); ++i) {
    const double seconds = std::strtod(std::string(kBoundTexts[i]).c_str(), nullptr);
    EXPECT_DOUBLE_EQ(static_cast<double>(kBounds[i]) / 1e9, seconds);
  }
  EXPECT_EQ(10'000u, kBounds.front());
  EXPECT_EQ(100'000'000'000u, kBounds.back());
}

TEST(HistogramTest, CountsAndSums) {
  Histogram histogram;
  for (const uint64_t nanos : {0ul, 10'000ul, 10'001ul, 1'000'000'000'000ul}) {
    histogram.Record(nanos);
  }
  HistogramValue value;
  histogram.AddTo(&value);
  histogram.AddTo(&value);
  EXPECT_EQ(4u, value.buckets[0]);
  EXPECT_EQ(2u, value.buckets[1]);
  EXPECT_EQ(2u, value.buckets[kBuckets - 1]);
  EXPECT_EQ(8u, value.count());
  EXPECT_EQ(2 * 1'000'000'020'001u, value.sum_ns);
}

// One writer, one reader: what is read never goes back, and nothing is lost.
TEST(InstrumentsTest, AReaderMayLookAtAnyTime) {
  constexpr uint64_t kMany = 200'000;
  Histogram histogram;
  Gauge gauge;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kMany; ++i) {
      histogram.Record(i);
      gauge.Add(i % 2 == 0 ? 1 : -1);
    }
  });
  uint64_t last = 0;
  while (last < kMany) {
    HistogramValue value;
    histogram.AddTo(&value);
    ASSERT_GE(value.count(), last);
    ASSERT_LE(gauge.value(), 1u);
    last = value.count();
  }
  writer.join();
  HistogramValue value;
  histogram.AddTo(&value);
  EXPECT_EQ(kMany, value.count());
  EXPECT_EQ(kMany * (kMany - 1) / 2, value.sum_ns);
  EXPECT_EQ(0u, gauge.value());
}

}  // namespace
}  // namespace mlos::metrics
