// SPDX-License-Identifier: Apache-2.0
//
// What a client of an HTTP/2 server may take of it, and why no more.  Whoever
// runs a server chooses; these are the defaults.  Values.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace mlos::h2 {

struct Limits {
  // Each costs a descriptor and a buffer of 64 KiB: 256 MiB in all.
  uint32_t max_connections = 4096;
  // At once on one connection.  As many as keep a model busy; a client that
  // wants more makes another connection.
  uint32_t max_streams = 256;
  // Each field counts with 32 bytes more.  Clients send a few hundred bytes,
  // tokens and tracing a few thousand.
  uint32_t max_header_bytes = 16 << 10;
  // A header within max_header_bytes fits in one or two frames; without end
  // they are an attack.
  uint32_t max_continuations = 8;
  // What a client may send of one stream before it is taken.  Fills a link of
  // 8 Gbit/s over 1 ms.
  uint32_t stream_window = 1 << 20;
  // The same for a connection: a few streams may wait without stopping others.
  uint32_t connection_window = 4 << 20;
  // What one connection may make the protocol itself remember: streams, header
  // tables, frames that wait to be sent.  A stream takes 2 KiB; ten times what
  // max_streams of them need.
  uint64_t max_connection_bytes = 8 << 20;
  // Messages received or answered, of all connections together.  Without it
  // the product of connections, streams and message size would be the limit.
  uint64_t max_buffered_bytes = 1 << 30;

  // Streams that a peer ends before they are answered, or makes us end by an
  // error: so many at once, and so many per second in the long run.  A client
  // that gives up on all of them is welcome; one that goes on is an attack.
  uint32_t reset_burst = 1000;
  uint32_t reset_rate = 100;
  // Frames that move nothing, beyond four for each request and frame of data.
  // They cost us more than their sender; a client at rest sends one in many
  // seconds.
  uint32_t idle_frame_burst = 1000;
  uint32_t idle_frame_rate = 100;
  // A PING sooner than this after the one before, with nothing answered in
  // between, is one too many.  Half of what clients use that keep connections
  // alive through firewalls.
  uint64_t min_ping_interval_ns = 5 * kNanosPerSecond;
  // So many of those are let pass, as with other servers of gRPC.
  uint32_t max_ping_strikes = 2;

  // Without a stream.  Clients keep their connections for as long as they may
  // and make new ones without being asked.
  uint64_t idle_timeout_ns = 300 * kNanosPerSecond;
  // For the start of a connection, and from the start of a header to its end:
  // one or two packets.
  uint64_t header_timeout_ns = 10 * kNanosPerSecond;
  // Without any progress, of a stream or of the connection; covers the pauses
  // of a poor network.
  uint64_t transfer_timeout_ns = 30 * kNanosPerSecond;
  // A client with streams that is not heard of for so long is asked with a
  // PING, and has so long to answer.
  uint64_t keepalive_time_ns = 60 * kNanosPerSecond;
  uint64_t keepalive_timeout_ns = 20 * kNanosPerSecond;
  // What a client that is told to go has to take note of it.
  uint64_t linger_ns = kNanosPerSecond;
  // How often timeouts are looked for.
  uint64_t sweep_ns = 250 * kNanosPerMilli;
};

}  // namespace mlos::h2
