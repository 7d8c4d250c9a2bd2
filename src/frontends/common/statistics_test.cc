// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/log_ring.h"

namespace mlos::frontend {
namespace {

using engine::ModelState;
using testing::HasSubstr;

class StatisticsTest : public testing::Test {
 protected:
  StatisticsTest() {
    Add("a", 1, ModelState::kReady, 11);
    Add("a", 2, ModelState::kReady, 12);
    Add("a", 3, ModelState::kFailed, 13);
    Add("b", 1, ModelState::kReady, 21);
    Add("gone", 1, ModelState::kUnloaded, 31);
  }
  void Add(const std::string& name, uint64_t version, ModelState state, uint64_t id) {
    auto route = std::make_shared<engine::ModelRoute>();
    route->name = name;
    route->version = std::to_string(version);
    route->version_number = version;
    route->state = state;
    route->id = id;
    auto info = std::make_shared<ModelInfo>();
    info->memory_bytes = id * 1000;
    route->info = std::move(info);
    table_.Add(std::move(route));
  }
  StatusOr<std::vector<ModelStatistics>> Collect(std::string_view model,
                                                 std::string_view version = {}) {
    const metrics::ModelBook* books[] = {&first_, &second_};
    return CollectStatistics(table_, books, model, version);
  }
  static void Count(metrics::ModelBook* book, uint64_t id) {
    const uint64_t now = NowNanos();
    book->Of(id, "any", "1")
        ->Count({.arrived_ns = now - 90,
                 .submitted_ns = now - 70,
                 .started_ns = now - 50,
                 .finished_ns = now - 20,
                 .answered_ns = now,
                 .batch = 2});
  }

  engine::RoutingTable table_;
  metrics::ModelBook first_;
  metrics::ModelBook second_;
};

TEST_F(StatisticsTest, SumsWhatEveryLoopCounted) {
  Count(&first_, 11);
  Count(&second_, 11);
  Count(&second_, 12);
  const auto all = Collect("a").value();
  ASSERT_EQ(2u, all.size()) << "a version that is not ready has none";
  EXPECT_EQ("1", all[0].version);
  EXPECT_EQ(2u, all[0].counted.success.count);
  EXPECT_EQ(180u, all[0].counted.success.ns);
  EXPECT_EQ(40u, all[0].counted.queue.ns);
  EXPECT_EQ(60u, all[0].counted.compute_infer.ns);
  EXPECT_EQ(4u, all[0].counted.inference_count);
  EXPECT_EQ(11'000u, all[0].memory_bytes);
  EXPECT_EQ(1u, all[1].counted.success.count);
}

TEST_F(StatisticsTest, LastInferenceIsOnTheWallClock) {
  const auto before = static_cast<uint64_t>(WallMillis());
  Count(&first_, 21);
  const auto statistics = Collect("b").value();
  const auto after = static_cast<uint64_t>(WallMillis());
  EXPECT_GE(statistics[0].last_inference_ms + 1, before);
  EXPECT_LE(statistics[0].last_inference_ms, after);
  EXPECT_EQ(0u, Collect("a").value()[0].last_inference_ms);
}

TEST_F(StatisticsTest, OfAllOfOneAndOfNone) {
  EXPECT_EQ(3u, Collect("").value().size());
  EXPECT_EQ("2", Collect("a", "2").value().at(0).version);
  for (const auto& [model, version, text] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {"a", "3", "'3' of model 'a' is not ready"},
           {"a", "9", "'9' of model 'a' is not ready"},
           {"gone", "", "no version of model 'gone' is ready"},
           {"none", "", "no version of model 'none' is ready"}}) {
    const auto refused = Collect(model, version);
    EXPECT_EQ(StatusCode::kInvalidArgument, refused.status().code()) << model;
    EXPECT_THAT(std::string(Message(refused.status())), HasSubstr(text));
  }
}

}  // namespace
}  // namespace mlos::frontend
