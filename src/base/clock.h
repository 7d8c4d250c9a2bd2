// SPDX-License-Identifier: Apache-2.0
//
// Time as the data path uses it: nanoseconds of CLOCK_MONOTONIC, which every
// process of one machine reads alike (through the vDSO, without a system call).
#pragma once

#include <time.h>

#include <cstdint>

namespace mlos {

constexpr uint64_t kNanosPerMicro = 1'000;
constexpr uint64_t kNanosPerMilli = 1'000'000;
constexpr uint64_t kNanosPerSecond = 1'000'000'000;

inline uint64_t NowNanos() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * kNanosPerSecond + static_cast<uint64_t>(t.tv_nsec);
}

}  // namespace mlos
