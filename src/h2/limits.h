// SPDX-License-Identifier: Apache-2.0
//
// What a client of an HTTP/2 server may take of it.  Defaults, ranges and
// their reasons stand in the daemon's table of options (options/table.h), but
// for what is nobody's to set.  Values.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "options/settings.h"

namespace mlos::h2 {

using options::DefaultNanos;
using options::DefaultNumber;
using options::Id;

struct Limits {
  uint32_t max_connections = DefaultNumber(Id::kGrpcMaxConnections);
  uint32_t max_connections_per_address = DefaultNumber(Id::kGrpcMaxConnectionsPerAddress);
  // At once on one connection.
  uint32_t max_streams = DefaultNumber(Id::kGrpcMaxStreams);
  // Each field counts with 32 bytes more.
  uint32_t max_header_bytes = DefaultNumber(Id::kGrpcMaxHeader);
  uint32_t max_continuations = DefaultNumber(Id::kGrpcMaxContinuations);
  // What a client may send of one stream, resp. of all, before it is taken.
  uint32_t stream_window = DefaultNumber(Id::kGrpcStreamWindow);
  uint32_t connection_window = DefaultNumber(Id::kGrpcConnectionWindow);
  // What one connection may make the protocol itself remember: streams, header
  // tables, frames that wait to be sent.
  uint64_t max_connection_bytes = DefaultNumber(Id::kGrpcMaxConnectionMemory);
  // Messages received or answered, and what the protocol takes of a connection
  // beyond a floor, of all connections together.
  uint64_t max_buffered_bytes = DefaultNumber(Id::kGrpcMaxBuffered);
  // The same of one address: half of it, but for a message of the size that is allowed.
  uint64_t max_buffered_bytes_per_address = max_buffered_bytes / 2;

  // Streams that a peer ends before they are answered, or makes us end by an
  // error: so many at once, and so many per second in the long run.
  uint32_t reset_rate = DefaultNumber(Id::kGrpcMaxResets);
  uint32_t reset_burst = kBurst * reset_rate;
  // Frames that move nothing, beyond four for each request and frame of data.
  uint32_t idle_frame_rate = DefaultNumber(Id::kGrpcMaxIdleFrames);
  uint32_t idle_frame_burst = kBurst * idle_frame_rate;
  // A PING sooner than this after the one before, with nothing answered in
  // between, is one too many.
  uint64_t min_ping_interval_ns = DefaultNanos(Id::kGrpcMinPingInterval);
  // So many of those are let pass, as with other servers of gRPC.
  uint32_t max_ping_strikes = 2;

  uint64_t idle_timeout_ns = DefaultNanos(Id::kGrpcIdleTimeout);
  // For the start of a connection, and from the start of a header to its end.
  uint64_t header_timeout_ns = DefaultNanos(Id::kGrpcHeaderTimeout);
  // Of a connection or an answer: without any progress, and on top of the time
  // that the bytes which have gone would take at min_bytes_per_second, of which
  // the answers of a connection have equal parts.
  uint64_t transfer_timeout_ns = DefaultNanos(Id::kGrpcTransferTimeout);
  uint64_t min_bytes_per_second = DefaultNumber(Id::kGrpcMinRate);
  // A client with streams that is not heard of for so long is asked with a
  // PING, and has so long to answer.
  uint64_t keepalive_time_ns = DefaultNanos(Id::kGrpcKeepaliveTime);
  uint64_t keepalive_timeout_ns = DefaultNanos(Id::kGrpcKeepaliveTimeout);
  // What a client that is told to go has to take note of it.
  uint64_t linger_ns = DefaultNanos(Id::kGrpcLinger);
  // How long an answer is sent from where it lies.  Who has not taken it then
  // gets it from a copy: a model's memory is not for the slow to keep.
  uint64_t hold_ns = kNanosPerSecond;
  // How often timeouts are looked for.
  uint64_t sweep_ns = 250 * kNanosPerMilli;

  static constexpr uint32_t kBurst = 10;
};

Limits LimitsFrom(const options::Settings& settings);

}  // namespace mlos::h2
