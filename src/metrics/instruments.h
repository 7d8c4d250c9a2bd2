// SPDX-License-Identifier: Apache-2.0
//
// What is counted with: one writer each, any number of readers.  Counting is a
// load and a store: no lock, no locked instruction, no system call, no memory.
// A reader sees each number whole, and numbers of one instrument as they were
// at about the same time.
//
// Lifetime: the owner's; readers hold the owner.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlos::metrics {

class Counter {
 public:
  void Add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + static_cast<uint64_t>(n),
                 std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// ---------------------------------------------------------------- histograms
// Upper bounds in nanoseconds: 1, 2 and 5 of each power of ten from 10 µs to
// 100 s.  A value that equals a bound belongs below it.  What is longer is in
// the last bucket, +Inf.
inline constexpr std::array<uint64_t, 22> kBounds = {
    10'000,         20'000,         50'000,         100'000,        200'000,       500'000,
    1'000'000,      2'000'000,      5'000'000,      10'000'000,     20'000'000,    50'000'000,
    100'000'000,    200'000'000,    500'000'000,    1'000'000'000,  2'000'000'000, 5'000'000'000,
    10'000'000'000, 20'000'000'000, 50'000'000'000, 100'000'000'000};
inline constexpr size_t kBuckets = kBounds.size() + 1;
// The same in seconds, as they are written; canonical OpenMetrics numbers.
inline constexpr std::array<std::string_view, kBuckets> kBoundTexts = {
    "1e-05", "2e-05", "5e-05", "0.0001", "0.0002", "0.0005", "0.001", "0.002",
    "0.005", "0.01",  "0.02",  "0.05",   "0.1",    "0.2",    "0.5",   "1.0",
    "2.0",   "5.0",   "10.0",  "20.0",   "50.0",   "100.0",  "+Inf"};

namespace internal {
// By the number of significant bits of (value - 1): the first bound that a
// value of so many bits may belong to.  Between one power of two and the next
// lies at most one bound, so one comparison finishes the search.
constexpr std::array<uint8_t, 65> MakeFirstBound() {
  std::array<uint8_t, 65> first{};
  for (size_t bits = 0; bits <= 64; ++bits) {
    const uint64_t least = bits == 0 ? 0 : uint64_t{1} << (bits - 1);
    size_t bound = 0;
    while (bound < kBounds.size() && kBounds[bound] <= least) ++bound;
    first[bits] = static_cast<uint8_t>(bound);
  }
  return first;
}
inline constexpr std::array<uint8_t, 65> kFirstBound = MakeFirstBound();
}  // namespace internal

constexpr size_t BucketOf(uint64_t nanos) {
  const size_t first = internal::kFirstBound[std::bit_width(nanos == 0 ? 0 : nanos - 1)];
  return first + (first < kBounds.size() && nanos > kBounds[first] ? 1 : 0);
}

struct HistogramValue {
  std::array<uint64_t, kBuckets> buckets{};  // not cumulative
  uint64_t sum_ns = 0;

  uint64_t count() const {
    uint64_t all = 0;
    for (const uint64_t n : buckets) all += n;
    return all;
  }
};

class Histogram {
 public:
  void Record(uint64_t nanos, uint64_t times = 1) {
    buckets_[BucketOf(nanos)].Add(times);
    sum_ns_.Add(nanos * times);
  }
  void AddTo(HistogramValue* value) const {
    for (size_t i = 0; i < kBuckets; ++i) value->buckets[i] += buckets_[i].value();
    value->sum_ns += sum_ns_.value();
  }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter sum_ns_;
};

}  // namespace mlos::metrics
