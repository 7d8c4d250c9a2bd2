// SPDX-License-Identifier: Apache-2.0
//
// What can be set about the HTTP front end, each with the reason for its
// default.  Values.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace mlos::http {

struct HttpOptions {
  // Who is answering, in GET /v2.
  std::string server_name = "mlos";
  std::string server_version = "0.1.0";

  // Largest request line and header fields.  Clients of the protocol send a
  // few hundred bytes; tokens and tracing headers a few thousand.  At most
  // 16 KiB: a connection's input buffer is built for that.
  uint32_t max_header_bytes = 16 << 10;
  // Largest body of an inference request: what the protocol's clients are used
  // to.  Larger tensors are for the shared-memory channel.
  uint64_t max_body_bytes = 64 << 20;
  // Largest body of a management request.
  uint64_t max_management_body_bytes = 1 << 20;
  // Memory of large bodies and answers, all connections together: without it the
  // product of connections and body size would be the limit.
  uint64_t max_buffered_bytes = uint64_t{1} << 30;
  // Largest JSON answer; beyond it a client is told to ask for binary data.
  uint64_t max_json_response_bytes = 256 << 20;
  // Pieces of one chunked body: a peer that sends single bytes is slow on
  // purpose.
  uint32_t max_chunks = 65536;
  // A file descriptor and a buffer each.
  uint32_t max_connections = 4096;

  // A connection without a request is closed after this; longer than the 60 s
  // that load balancers keep theirs.
  uint64_t idle_timeout_ns = 75 * kNanosPerSecond;
  // From a request's first byte to the end of its header.
  uint64_t header_timeout_ns = 10 * kNanosPerSecond;
  // For sending a body and for taking an answer: this, and on top the time
  // that the bytes would take at min_bytes_per_second.
  uint64_t transfer_timeout_ns = 30 * kNanosPerSecond;
  uint64_t min_bytes_per_second = 128 << 10;
  // How long what a refused client still sends is read and thrown away, so
  // that it gets to see the refusal.
  uint64_t linger_ns = 1 * kNanosPerSecond;
  // How often timeouts and gone clients are looked for.
  uint64_t sweep_ns = 250 * kNanosPerMilli;

  // Deadline of an inference whose client gives none ("timeout"), and the
  // longest that a client may ask for.
  uint64_t default_deadline_ns = 30 * kNanosPerSecond;
  uint64_t max_deadline_ns = 3600 * kNanosPerSecond;
};

// Deepest nesting of JSON that is looked into.
constexpr uint32_t kMaxJsonDepth = 100;

}  // namespace mlos::http
