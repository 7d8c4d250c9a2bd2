// SPDX-License-Identifier: Apache-2.0
//
// What gRPC's calls come to.  Threads: their loop writes, any thread reads.
#pragma once

#include <cstddef>

#include "metrics/instruments.h"

namespace mlos::metrics {

class GrpcCounters {
 public:
  static constexpr size_t kCodes = 17;  // of gRPC: 0 (OK) to 16
  Counter answers[kCodes];
  Counter lines_dropped;  // about calls, that the log was spared
};

}  // namespace mlos::metrics
