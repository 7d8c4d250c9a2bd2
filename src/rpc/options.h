// SPDX-License-Identifier: Apache-2.0
//
// Limits of calls.  Defaults, ranges and their reasons stand in the daemon's
// table of options (options/table.h).  Values.
#pragma once

#include <cstdint>

#include "options/settings.h"

namespace mlos::rpc {

struct Options {
  // After decompression.
  uint64_t max_message_bytes = options::DefaultNumber(options::Id::kGrpcMaxMessage);
  // How many times its size a compressed message may come to, beyond 1 MiB.
  uint64_t max_ratio = options::DefaultNumber(options::Id::kGrpcMaxRatio);
  // The smallest answer that is compressed for who asks for it; 0: none is.
  uint64_t compress_from_bytes = options::DefaultNumber(options::Id::kGrpcCompressFrom);
  // For sending a message: this, and on top the time that the bytes would take
  // at min_bytes_per_second.
  uint64_t transfer_timeout_ns = options::DefaultNanos(options::Id::kGrpcTransferTimeout);
  uint64_t min_bytes_per_second = options::DefaultNumber(options::Id::kGrpcMinRate);
};

Options OptionsFrom(const options::Settings& settings);

}  // namespace mlos::rpc
