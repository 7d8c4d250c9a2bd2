// SPDX-License-Identifier: Apache-2.0
#include "metrics/model_counters.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace mlos::metrics {
namespace {

Answered Ran(StatusCode code, uint64_t batch = 1) {
  return {Protocol::kHttp, code, 1'000, 2'000, 5'000, 9'000, 20'000, batch};
}

TEST(ModelCountersTest, CountsWhatTheProtocolReports) {
  ModelCounters counters(7, "m", "1");
  counters.Count(Ran(StatusCode::kOk, 4));
  counters.Count(Ran(StatusCode::kInternal));
  Answered refused;
  refused.code = StatusCode::kUnavailable;
  refused.arrived_ns = 1'000;
  refused.answered_ns = 1'500;
  counters.Count(refused);
  InferStatistics s;
  AddTo(counters, &s);
  EXPECT_EQ(1u, s.success.count);
  EXPECT_EQ(19'000u, s.success.ns);
  EXPECT_EQ(2u, s.fail.count);
  EXPECT_EQ(19'500u, s.fail.ns);
  EXPECT_EQ(1u, s.queue.count);
  EXPECT_EQ(3'000u, s.queue.ns);
  EXPECT_EQ(4'000u, s.compute_infer.ns);
  EXPECT_EQ(1u, s.compute_input.count);
  EXPECT_EQ(1u, s.compute_output.count);
  EXPECT_EQ(4u, s.inference_count);
  EXPECT_EQ(2u, s.execution_count);
  EXPECT_EQ(1'500u, s.last_inference_ns) << "the last that was answered";
  EXPECT_EQ(0u, s.cancelled.count);
  EXPECT_EQ(1u, s.failed_runs.count);
  EXPECT_EQ(4'000u, s.failed_runs.ns);
  AddTo(counters, &s);  // another loop's
  EXPECT_EQ(2u, s.success.count);
  EXPECT_EQ(8u, s.inference_count);
}

TEST(ModelCountersTest, CountsBatchesBySize) {
  ModelCounters counters(7, "m", "1");
  for (const uint64_t size : {4, 1, 4, 64, 128}) counters.Count(Ran(StatusCode::kOk, size));
  counters.Count(Ran(StatusCode::kInternal, 3));
  InferStatistics s;
  AddTo(counters, &s);
  AddTo(counters, &s);  // another loop's
  ASSERT_EQ(4u, s.batches.size());
  EXPECT_EQ(1u, s.batches[0].size);
  EXPECT_EQ(2u, s.batches[0].compute_infer.count);
  EXPECT_EQ(4u, s.batches[1].size);
  EXPECT_EQ(4u, s.batches[1].compute_infer.count);
  EXPECT_EQ(16'000u, s.batches[1].compute_infer.ns);
  EXPECT_EQ(64u, s.batches[2].size);
  EXPECT_EQ(128u, s.batches[3].size);
}

TEST(ModelCountersTest, BatchSizesBeyondTheRowsAreInTheSumsOnly) {
  ModelCounters counters(7, "m", "1");
  uint64_t sum = 0;
  for (uint64_t size = 1; size <= 2 * BatchCounters::kRows; ++size) {
    counters.Count(Ran(StatusCode::kOk, size));
    sum += size;
  }
  InferStatistics s;
  AddTo(counters, &s);
  EXPECT_EQ(BatchCounters::kRows, s.batches.size());
  EXPECT_EQ(sum, s.inference_count);
  EXPECT_EQ(2 * BatchCounters::kRows, s.execution_count);
}

TEST(ModelCountersTest, CancelledRequestsAreNoFailedRuns) {
  ModelCounters counters(7, "m", "1");
  counters.Count(Ran(StatusCode::kCancelled));
  InferStatistics s;
  AddTo(counters, &s);
  EXPECT_EQ(1u, s.fail.count);
  EXPECT_EQ(1u, s.cancelled.count);
  EXPECT_EQ(19'000u, s.cancelled.ns);
  EXPECT_EQ(0u, s.failed_runs.count);
}

// A host writes its times into shared memory and may write anything.
TEST(ModelCountersTest, ImpossibleTimesOfAHostAreCutToPossibleOnes) {
  for (const auto& [started, finished] : std::vector<std::pair<uint64_t, uint64_t>>{
           {1, ~uint64_t{0}}, {~uint64_t{0}, 1}, {~uint64_t{0}, ~uint64_t{0}}, {1, 1}}) {
    ModelCounters counters(7, "m", "1");
    Answered a = Ran(StatusCode::kOk);
    a.started_ns = started;
    a.finished_ns = finished;
    counters.Count(a);
    InferStatistics s;
    AddTo(counters, &s);
    EXPECT_LE(s.queue.ns + s.compute_infer.ns, a.answered_ns - a.submitted_ns);
  }
}

TEST(ModelBookTest, KeepsWhatIsRegisteredOrHeld) {
  ModelBook book;
  ModelCounters* first = book.Of(1, "a", "1");
  EXPECT_EQ(first, book.Of(1, "a", "1"));
  ModelCounters* second = book.Of(2, "a", "2");
  second->Begin();
  book.Of(3, "b", "1");
  book.Prune([](const ModelCounters& c) { return c.model() == "b"; });
  ASSERT_EQ(2u, book.size()) << "what a request holds stays";
  second->End();
  book.Prune([](const ModelCounters& c) { return c.model() == "b"; });
  const auto left = book.Read();
  ASSERT_EQ(1u, left.size());
  EXPECT_EQ("b", left[0]->model());
}

TEST(ModelBookTest, IsReadWhileItsLoopWorks) {
  ModelBook book;
  std::atomic<bool> done{false};
  std::thread loop([&] {
    for (uint64_t i = 0; i < 5'000; ++i) {
      ModelCounters* counters = book.Of(i % 50 + i / 500 * 50, "m", "1");
      counters->Begin();
      counters->Count(Ran(StatusCode::kOk));
      counters->End();
      book.CountUnknown(Protocol::kGrpc, StatusCode::kNotFound);
      if (i % 100 == 0) {
        book.Prune([&](const ModelCounters& c) { return c.id() >= i / 500 * 50; });
      }
    }
    done = true;
  });
  uint64_t seen = 0;
  while (!done) {
    for (const auto& counters : book.Read()) {
      InferStatistics s;
      AddTo(*counters, &s);
      seen += s.success.count;
    }
  }
  loop.join();
  EXPECT_LE(seen, 5'000u * 5'000u);  // each reading counts afresh
  EXPECT_EQ(50u, book.Read().size());
  EXPECT_EQ(5'000u, book.Unknown(Protocol::kGrpc, static_cast<size_t>(StatusCode::kNotFound)));
  EXPECT_EQ(0u, book.Unknown(Protocol::kHttp, static_cast<size_t>(StatusCode::kNotFound)));
}

}  // namespace
}  // namespace mlos::metrics
