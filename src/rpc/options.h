// SPDX-License-Identifier: Apache-2.0
//
// Limits of calls and their defaults.  Values.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace mlos::rpc {

struct Options {
  // After decompression.  What HTTP takes, too; larger tensors are for the
  // shared-memory channel.
  uint64_t max_message_bytes = 64 << 20;
  // How many times its size a compressed message may come to, beyond 1 MiB.
  // Tensors shrink to a half, well-padded ones to a hundredth; a thousand is
  // what an attack by compression gets.
  uint64_t max_ratio = 200;
  // The smallest answer that is compressed for who asks for it; 0: none is.
  // Less is three packets, which take no longer than compressing them.
  uint64_t compress_from_bytes = 4 << 10;
  // For sending a message: this, and on top the time that the bytes would take
  // at min_bytes_per_second, which is slower than any link that serves models
  // and faster than an attack by slowness.
  uint64_t transfer_timeout_ns = 30 * kNanosPerSecond;
  uint64_t min_bytes_per_second = 128 << 10;
};

}  // namespace mlos::rpc
