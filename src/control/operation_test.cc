// SPDX-License-Identifier: Apache-2.0
#include "control/operation.h"

#include <gtest/gtest.h>

#include <set>

namespace mlos::control {
namespace {

TEST(OperationTableTest, EveryRowIsWholeAndUnique) {
  std::set<std::string> names;
  std::set<std::string> routes;
  std::set<OperationKind> kinds;
  for (const OperationRow& row : Operations()) {
    EXPECT_FALSE(row.help.empty()) << row.name;
    EXPECT_EQ(0u, row.http_path.rfind("/api/v1/", 0)) << row.name;
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name;
    EXPECT_TRUE(routes.insert(std::string(row.http_method) + std::string(row.http_path)).second);
    EXPECT_TRUE(kinds.insert(row.kind).second) << row.name;
    EXPECT_TRUE(row.http_method == "GET" || row.http_method == "POST" ||
                row.http_method == "DELETE");
    EXPECT_TRUE(!row.takes_body || row.http_method == "POST") << row.name;
  }
  EXPECT_EQ(static_cast<size_t>(OperationKind::kRemoveModel) + 1, kinds.size())
      << "every operation has its row";
}

}  // namespace
}  // namespace mlos::control
