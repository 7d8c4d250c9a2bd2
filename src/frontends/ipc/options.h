// SPDX-License-Identifier: Apache-2.0
//
// What a client of the local socket may take of it.  Defaults, ranges and their
// reasons stand in the daemon's table of options (options/table.h).  Values.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "options/settings.h"

namespace mlos::ipc {

using options::DefaultNanos;
using options::DefaultNumber;
using options::Id;

struct IpcOptions {
  std::string server_name = "mlos";
  std::string server_version = "0";
  uint32_t max_connections = DefaultNumber(Id::kIpcMaxConnections);
  uint32_t max_connections_per_user = DefaultNumber(Id::kIpcMaxConnectionsPerUser);
  uint32_t max_calls = DefaultNumber(Id::kIpcMaxCalls);  // at once on one connection
  uint64_t max_message_bytes = DefaultNumber(Id::kIpcMaxMessage);
  // Large messages received or answered, of all connections together.
  uint64_t max_buffered_bytes = DefaultNumber(Id::kIpcMaxBuffered);
  // For the handshake; for a message or an answer without any progress, and on
  // top of the time that its bytes would take at min_bytes_per_second.
  uint64_t transfer_timeout_ns = DefaultNanos(Id::kIpcTransferTimeout);
  uint64_t min_bytes_per_second = 1 << 20;
  uint64_t default_deadline_ns = DefaultNanos(Id::kDefaultDeadline);
  uint64_t max_deadline_ns = DefaultNanos(Id::kMaxDeadline);
  // How often timeouts are looked for.
  uint64_t sweep_ns = 250 * kNanosPerMilli;
};

IpcOptions OptionsFrom(const options::Settings& settings);

}  // namespace mlos::ipc
