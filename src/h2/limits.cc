// SPDX-License-Identifier: Apache-2.0
#include "h2/limits.h"

#include <algorithm>

namespace mlos::h2 {

Limits LimitsFrom(const options::Settings& settings) {
  Limits l;
  const auto number32 = [&](Id id) { return static_cast<uint32_t>(settings.Number(id)); };
  l.max_connections = number32(Id::kGrpcMaxConnections);
  l.max_connections_per_address = number32(Id::kGrpcMaxConnectionsPerAddress);
  l.max_streams = number32(Id::kGrpcMaxStreams);
  l.max_header_bytes = number32(Id::kGrpcMaxHeader);
  l.max_continuations = number32(Id::kGrpcMaxContinuations);
  l.stream_window = number32(Id::kGrpcStreamWindow);
  l.connection_window = number32(Id::kGrpcConnectionWindow);
  l.max_connection_bytes = settings.Number(Id::kGrpcMaxConnectionMemory);
  l.max_buffered_bytes = settings.Number(Id::kGrpcMaxBuffered);
  l.max_buffered_bytes_per_address =
      std::max(l.max_buffered_bytes / 2, settings.Number(Id::kGrpcMaxMessage));
  l.reset_rate = number32(Id::kGrpcMaxResets);
  l.reset_burst = Limits::kBurst * l.reset_rate;
  l.idle_frame_rate = number32(Id::kGrpcMaxIdleFrames);
  l.idle_frame_burst = Limits::kBurst * l.idle_frame_rate;
  l.min_ping_interval_ns = settings.Nanos(Id::kGrpcMinPingInterval);
  l.idle_timeout_ns = settings.Nanos(Id::kGrpcIdleTimeout);
  l.header_timeout_ns = settings.Nanos(Id::kGrpcHeaderTimeout);
  l.transfer_timeout_ns = settings.Nanos(Id::kGrpcTransferTimeout);
  l.min_bytes_per_second = settings.Number(Id::kGrpcMinRate);
  l.keepalive_time_ns = settings.Nanos(Id::kGrpcKeepaliveTime);
  l.keepalive_timeout_ns = settings.Nanos(Id::kGrpcKeepaliveTimeout);
  l.linger_ns = settings.Nanos(Id::kGrpcLinger);
  return l;
}

}  // namespace mlos::h2
