// SPDX-License-Identifier: Apache-2.0
//
// What one HTTP/2 server counts.  Threads: its loop writes, any thread reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "metrics/instruments.h"

namespace mlos::metrics {

// Why a connection ended; the order is h2::End's.
constexpr std::string_view kH2Ends[] = {"none",     "drained", "idle",        "peer",
                                        "protocol", "resets",  "idle_frames", "pings",
                                        "headers",  "memory",  "slow"};
constexpr size_t kH2EndCount = sizeof kH2Ends / sizeof kH2Ends[0];

class H2Counters {
 public:
  Gauge open;
  Counter accepted;
  Counter refused;
  Counter received_bytes;
  Counter sent_bytes;
  Counter ended[kH2EndCount];
};

}  // namespace mlos::metrics
