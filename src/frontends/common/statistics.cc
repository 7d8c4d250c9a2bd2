// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/statistics.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <unordered_map>

#include "base/clock.h"
#include "frontends/common/infer_plan.h"

namespace mlos::frontend {
namespace {

using engine::ModelState;
using engine::RoutePin;

void AddReady(const engine::ModelVersions& model, std::vector<RoutePin>* ready) {
  for (const RoutePin& route : model.versions) {
    if (route->state == ModelState::kReady) ready->push_back(route);
  }
}

StatusOr<std::vector<RoutePin>> Choose(const engine::RoutingTable& table, std::string_view model,
                                       std::string_view version) {
  std::vector<RoutePin> ready;
  if (model.empty()) {
    for (const auto& [name, versions] : table.models) AddReady(*versions, &ready);
    return ready;
  }
  if (!version.empty()) {
    RoutePin route = table.Find(model, version);
    if (route == nullptr || route->state != ModelState::kReady) {
      return InvalidArgument("version " + Quote(version) + " of model " + Quote(model) +
                             " is not ready: there are no statistics of it");
    }
    ready.push_back(std::move(route));
    return ready;
  }
  if (const auto it = table.models.find(model); it != table.models.end()) {
    AddReady(*it->second, &ready);
  }
  if (ready.empty()) {
    return InvalidArgument("no version of model " + Quote(model) +
                           " is ready: there are no statistics of it");
  }
  return ready;
}

// What the clock on the wall is ahead of the monotonic one; too small by the time that the
// thread had to wait in between, so that nothing seems to lie in the future.
int64_t WallAheadNanos() {
  constexpr uint64_t kUndisturbed = 50'000;
  for (int tries = 1;; ++tries) {
    const uint64_t begin = NowNanos();
    const int64_t wall = std::chrono::duration_cast<std::chrono::nanoseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
    const uint64_t end = NowNanos();
    if (end - begin < kUndisturbed || tries == 10) return wall - static_cast<int64_t>(end);
  }
}

// The counters' clock is monotonic; clients want the one on the wall.
uint64_t WallMillisOf(uint64_t monotonic_ns) {
  if (monotonic_ns == 0) return 0;
  // Kept until the clock was set, so that a time that is told twice is the same.
  constexpr int64_t kClockWasSet = 200 * static_cast<int64_t>(kNanosPerMilli);
  static std::atomic<int64_t> kept_ahead{0};
  const int64_t ahead = WallAheadNanos();
  int64_t kept = kept_ahead.load(std::memory_order_relaxed);
  if (std::abs(ahead - kept) > kClockWasSet) {
    kept = ahead;
    kept_ahead.store(ahead, std::memory_order_relaxed);
  }
  return (monotonic_ns + static_cast<uint64_t>(kept)) / kNanosPerMilli;
}

}  // namespace

StatusOr<std::vector<ModelStatistics>> CollectStatistics(const engine::RoutingTable& table,
                                                         Books books, std::string_view model,
                                                         std::string_view version) {
  MLOS_ASSIGN_OR_RETURN(const std::vector<RoutePin> routes, Choose(table, model, version));
  std::vector<ModelStatistics> out(routes.size());
  std::unordered_map<uint64_t, ModelStatistics*> by_id;
  for (size_t i = 0; i < routes.size(); ++i) {
    const engine::ModelRoute& route = *routes[i];
    out[i].name = route.name;
    out[i].version = route.version;
    out[i].memory_bytes = route.info->memory_bytes;
    by_id.emplace(route.id, &out[i]);
  }
  for (const metrics::ModelBook* book : books) {
    for (const auto& counters : book->Read()) {
      const auto it = by_id.find(counters->id());
      if (it != by_id.end()) metrics::AddTo(*counters, &it->second->counted);
    }
  }
  for (ModelStatistics& statistics : out) {
    statistics.last_inference_ms = WallMillisOf(statistics.counted.last_inference_ns);
  }
  return out;
}

std::optional<ResponseStatistics> ResponsesOf(const metrics::InferStatistics& counted) {
  const auto& c = counted;
  if (c.success.count + c.failed_runs.count + c.cancelled.count == 0) return std::nullopt;
  return ResponseStatistics{
      .compute_infer = c.compute_infer,
      .compute_output = c.compute_output,
      .success = {c.compute_infer.count, c.compute_infer.ns + c.compute_output.ns},
      .fail = c.failed_runs,
      .empty_response = {},
      .cancel = c.cancelled};
}

BatchStatistics RowOf(const metrics::InferStatistics::Batch& counted) {
  const uint64_t count = counted.compute_infer.count;
  return {.size = counted.size,
          .compute_input = {count, 0},
          .compute_infer = counted.compute_infer,
          .compute_output = {count, 0}};
}

}  // namespace mlos::frontend
