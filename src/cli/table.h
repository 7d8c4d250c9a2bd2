// SPDX-License-Identifier: Apache-2.0
//
// Aligned text: tables with a heading, and lists of names with values.  Cells
// are escaped here, so that no caller can forget it.  Values; one thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlos::cli {

class Table {
 public:
  enum class Side { kLeft, kRight };
  struct Column {
    std::string_view heading;
    Side side = Side::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns.
  void AddRow(const std::vector<std::string>& cells);
  // Columns are two spaces apart, and one that is empty in all rows is left
  // out.  Where `width` is not 0, the last column is cut so that lines fit.
  std::string Render(bool colour, size_t width = 0) const;

 private:
  bool IsShown(size_t column) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "name     value" lines.
std::string RenderPairs(const std::vector<std::pair<std::string, std::string>>& pairs, bool colour);

}  // namespace mlos::cli
