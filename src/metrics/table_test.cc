// SPDX-License-Identifier: Apache-2.0
//
// The rules of names and columns fail the build (table.cc); this is the rest.
#include "metrics/table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "base/clock.h"
#include "metrics/instruments.h"

namespace mlos::metrics {
namespace {

std::string PageRow(const Row& row) {
  std::string labels(row.label_list());
  for (size_t at = 0; (at = labels.find(',', at)) != std::string::npos; at += 2) {
    labels.replace(at, 1, ", ");
  }
  return "| `" + std::string(row.name) + "` | " + std::string(TypeName(row.type)) + " | " + labels +
         (labels.empty() ? "| " : " | ") + std::string(row.help) + " | " +
         std::string(row.counted) + " |";
}

TEST(TableTest, NamesAreUnique) {
  std::set<std::string_view> names;
  for (const Row& row : Table()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
  EXPECT_EQ(static_cast<size_t>(Id::kCount), names.size());
}

// docs/metrics.md lists exactly these rows, in this order.
TEST(TableTest, ThePageIsTheTable) {
  std::ifstream page(MLOS_METRICS_PAGE);
  ASSERT_TRUE(page.is_open()) << MLOS_METRICS_PAGE;
  std::string found;
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("| `", 0) == 0) found += line + "\n";
  }
  std::string wanted;
  for (const Row& row : Table()) wanted += PageRow(row) + "\n";
  EXPECT_EQ(wanted, found) << "the rows of docs/metrics.md should be:\n" << wanted;
}

}  // namespace
}  // namespace mlos::metrics
