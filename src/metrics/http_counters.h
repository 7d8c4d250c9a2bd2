// SPDX-License-Identifier: Apache-2.0
//
// What one HTTP server counts.  Threads: its loop writes, any thread reads.
#pragma once

#include <cstdint>
#include <string_view>

#include "metrics/instruments.h"

namespace mlos::metrics {

// Few and fixed, whatever clients ask for.
enum class RouteClass : uint8_t {
  kNone,        // refused before there was a route: broken, late or too large a head
  kUnknown,     // no such path, or not with this method
  kHealth,      // /v2/health, and readiness of a model
  kMetadata,    // of the server and of models
  kInfer,       // …/infer
  kManagement,  // /api/v1
  kCount,
};
constexpr size_t kRouteClasses = static_cast<size_t>(RouteClass::kCount);

constexpr std::string_view RouteClassName(RouteClass c) {
  constexpr std::string_view kNames[kRouteClasses] = {"none",     "unknown", "health",
                                                      "metadata", "infer",   "management"};
  return kNames[static_cast<size_t>(c)];
}

class HttpCounters {
 public:
  static constexpr int kLeastStatus = 200;
  static constexpr int kMostStatus = 599;

  void CountAnswer(RouteClass route, int status) {
    if (status < kLeastStatus || status > kMostStatus) status = kMostStatus;
    answers[static_cast<size_t>(route)][status - kLeastStatus].Add();
  }

  Counter answers[kRouteClasses][kMostStatus - kLeastStatus + 1];
  Gauge open;
  Counter accepted;
  Counter refused;
  Counter received_bytes;
  Counter sent_bytes;
  Counter lines_dropped;  // about requests, that the log was spared
};

}  // namespace mlos::metrics
