// SPDX-License-Identifier: Apache-2.0
#include "cli/usage.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <vector>

#include "base/clock.h"
#include "cli/table.h"

namespace mlos::cli {
namespace json = boost::json;
namespace {

constexpr size_t kMostRows = 20;

std::string TextIn(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

uint64_t NumberIn(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return 0;
  json::error_code error;
  const auto number = value->to_number<uint64_t>(error);
  return error ? 0 : number;
}

// Of one request; "-" where there was none.
std::string MeanTime(uint64_t us, uint64_t requests) {
  if (requests == 0) return "-";
  const double mean = static_cast<double>(us) / static_cast<double>(requests);
  if (mean < 1000) return fmt::format("{:.0f} µs", mean);
  if (mean < 1'000'000) return fmt::format("{:.1f} ms", mean / 1000);
  return fmt::format("{:.1f} s", mean / 1'000'000);
}

struct Line {
  double rate = 0;
  std::vector<std::string> cells;
};

}  // namespace

std::string UsageView::Show(const json::value& body, uint64_t now_ns, const Look& look) {
  const json::object* answer = body.if_object();
  const json::value* list = answer != nullptr ? answer->if_contains("usage") : nullptr;
  if (list == nullptr || !list->is_array() || list->get_array().empty()) return "no models\n";
  const bool first = last_ns_ == 0;
  const double seconds = static_cast<double>(now_ns - last_ns_) / kNanosPerSecond;
  std::map<std::pair<std::string, std::string>, Counts> seen;
  std::vector<Line> lines;
  lines.reserve(list->get_array().size());
  for (const json::value& item : list->get_array()) {
    const json::object* model = item.if_object();
    if (model == nullptr) continue;
    const Counts now{NumberIn(*model, "requests"), NumberIn(*model, "errors"),
                     NumberIn(*model, "total_us"), NumberIn(*model, "run_us")};
    auto key = std::make_pair(TextIn(*model, "name"), TextIn(*model, "version"));
    const auto before = last_.find(key);
    // A daemon or a registration that is new counts from nothing.
    const bool goes_on = before != last_.end() && before->second.requests <= now.requests;
    const Counts then = goes_on ? before->second : Counts{};
    const uint64_t requests = now.requests - then.requests;
    Line line;
    line.rate = first || seconds <= 0 ? 0 : static_cast<double>(requests) / seconds;
    line.cells = {key.first,
                  key.second,
                  first ? "-" : fmt::format("{:.1f}", line.rate),
                  MeanTime(now.total_us - std::min(then.total_us, now.total_us), requests),
                  MeanTime(now.run_us - std::min(then.run_us, now.run_us), requests),
                  std::to_string(NumberIn(*model, "in_flight")),
                  std::to_string(now.errors),
                  std::to_string(now.requests)};
    lines.push_back(std::move(line));
    seen.emplace(std::move(key), now);
  }
  last_ = std::move(seen);
  last_ns_ = now_ns;
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.rate > b.rate; });
  constexpr auto kRight = Table::Side::kRight;
  Table table({{"MODEL"},
               {"VERSION", kRight},
               {"REQ/S", kRight},
               {"LATENCY", kRight},
               {"RUN", kRight},
               {"IN FLIGHT", kRight},
               {"ERRORS", kRight},
               {"REQUESTS", kRight}});
  for (size_t i = 0; i < std::min(lines.size(), kMostRows); ++i) table.AddRow(lines[i].cells);
  std::string out = table.Render(look.colour, look.width);
  if (lines.size() > kMostRows) out += fmt::format("and {} more\n", lines.size() - kMostRows);
  return out;
}

}  // namespace mlos::cli
