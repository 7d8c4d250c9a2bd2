// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>

#include "cli/terminal.h"

namespace mlos::cli {
namespace {

constexpr size_t kGap = 2;

std::string Padded(const std::string& text, const std::string& shown, size_t width,
                   Table::Side side) {
  const std::string space(width - std::min(width, Width(text)), ' ');
  return side == Table::Side::kRight ? space + shown : shown + space;
}

void TrimRight(std::string* line) { line->erase(line->find_last_not_of(' ') + 1); }

}  // namespace

void Table::AddRow(const std::vector<std::string>& cells) {
  std::vector<std::string>& row = rows_.emplace_back();
  for (const std::string& cell : cells) row.push_back(Escape(cell));
  row.resize(columns_.size());
}

bool Table::IsShown(size_t column) const {
  if (column == 0 || rows_.empty()) return true;
  return std::any_of(rows_.begin(), rows_.end(),
                     [column](const auto& row) { return !row[column].empty(); });
}

std::string Table::Render(bool colour, size_t width) const {
  std::vector<size_t> shown;
  std::vector<size_t> widths(columns_.size());
  for (size_t c = 0; c < columns_.size(); ++c) {
    widths[c] = Width(columns_[c].heading);
    for (const auto& row : rows_) widths[c] = std::max(widths[c], Width(row[c]));
    if (IsShown(c)) shown.push_back(c);
  }
  size_t before_last = 0;
  for (const size_t c : shown) before_last += c == shown.back() ? 0 : widths[c] + kGap;
  const size_t room = width > before_last + 10 ? width - before_last : 0;
  if (room > 0) widths[shown.back()] = std::min(widths[shown.back()], room);

  std::string out;
  const auto add_line = [&](const auto& text_of) {
    std::string line;
    for (const size_t c : shown) {
      const auto [text, cell_colour] = text_of(c);
      const std::string cut = room > 0 && c == shown.back() ? Cut(text, room) : text;
      line += Padded(cut, colour ? Coloured(cut, cell_colour) : cut, widths[c], columns_[c].side);
      line += std::string(kGap, ' ');
    }
    TrimRight(&line);
    out += line + "\n";
  };
  add_line([&](size_t c) { return std::pair(std::string(columns_[c].heading), Colour::kBold); });
  for (const auto& row : rows_) {
    add_line([&](size_t c) {
      const bool state = columns_[c].heading == "STATE";
      return std::pair(row[c], state ? StateColour(row[c]) : Colour::kNone);
    });
  }
  return out;
}

std::string RenderPairs(const std::vector<std::pair<std::string, std::string>>& pairs,
                        bool colour) {
  size_t width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, Width(Escape(name)));
  std::string out;
  for (const auto& [name, value] : pairs) {
    const std::string safe = Escape(value);
    const Colour of = name == "state" ? StateColour(safe) : Colour::kNone;
    std::string line = Padded(Escape(name), Escape(name), width + kGap, Table::Side::kLeft) +
                       (colour ? Coloured(safe, of) : safe);
    TrimRight(&line);
    out += line + "\n";
  }
  return out;
}

}  // namespace mlos::cli
