// SPDX-License-Identifier: Apache-2.0
#include "engine/route.h"

#include <gtest/gtest.h>

namespace mlos::engine {
namespace {

void Add(RoutingTable* table, uint64_t version, ModelState state, bool on_demand = false) {
  auto route = std::make_shared<ModelRoute>();
  route->name = "m";
  route->version = std::to_string(version);
  route->version_number = version;
  route->state = state;
  route->on_demand = on_demand;
  table->Add(std::move(route));
}

std::string Found(const RoutingTable& table, std::string_view version) {
  const RoutePin route = table.Find("m", version);
  return route == nullptr ? "none" : route->version;
}

TEST(RoutingTableTest, WithoutAVersionTheHighestThatServesIsTaken) {
  RoutingTable table;
  EXPECT_EQ("none", Found(table, ""));
  Add(&table, 1, ModelState::kReady);
  Add(&table, 2, ModelState::kReady);
  Add(&table, 3, ModelState::kFailed);
  Add(&table, 4, ModelState::kRegistered, true);
  EXPECT_EQ("2", Found(table, ""));
  EXPECT_EQ("3", Found(table, "3"));
  EXPECT_EQ("none", Found(table, "5"));
  EXPECT_EQ("none", Found(table, "02"));
}

TEST(RoutingTableTest, WhereNoneServesOneThatCanBeLoadedIsTakenAndElseTheHighest) {
  RoutingTable table;
  Add(&table, 1, ModelState::kRegistered, true);
  Add(&table, 2, ModelState::kUnloaded);
  EXPECT_EQ("1", Found(table, ""));
  RoutingTable gone;
  Add(&gone, 1, ModelState::kFailed);
  Add(&gone, 2, ModelState::kUnloaded);
  EXPECT_EQ("2", Found(gone, ""));
}

}  // namespace
}  // namespace mlos::engine
