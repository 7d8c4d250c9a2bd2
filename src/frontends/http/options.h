// SPDX-License-Identifier: Apache-2.0
//
// What can be set about the HTTP front end.  Defaults, ranges and their reasons
// stand in the daemon's table of options (options/table.h), but for what is
// nobody's to set.  Values.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "options/settings.h"

namespace mlos::http {

using options::DefaultNanos;
using options::DefaultNumber;
using options::Id;

struct HttpOptions {
  // Who is answering, in GET /v2.
  std::string server_name = "mlos";
  std::string server_version = "0.1.0";

  uint32_t max_header_bytes = DefaultNumber(Id::kHttpMaxHeader);
  uint64_t max_body_bytes = DefaultNumber(Id::kHttpMaxBody);
  uint64_t max_management_body_bytes = DefaultNumber(Id::kHttpMaxManagementBody);
  uint64_t max_buffered_bytes = DefaultNumber(Id::kHttpMaxBuffered);
  uint64_t max_json_response_bytes = DefaultNumber(Id::kHttpMaxJsonResponse);
  uint32_t max_ratio = DefaultNumber(Id::kHttpMaxRatio);
  uint64_t compress_from_bytes = DefaultNumber(Id::kHttpCompressFrom);  // 0: never
  uint32_t max_chunks = DefaultNumber(Id::kHttpMaxChunks);
  uint32_t max_connections = DefaultNumber(Id::kHttpMaxConnections);
  uint32_t max_connections_per_address = DefaultNumber(Id::kHttpMaxConnectionsPerAddress);
  uint32_t max_tensors = DefaultNumber(Id::kHttpMaxTensors);
  uint32_t max_json_depth = DefaultNumber(Id::kHttpMaxJsonDepth);

  uint64_t idle_timeout_ns = DefaultNanos(Id::kHttpIdleTimeout);
  uint64_t header_timeout_ns = DefaultNanos(Id::kHttpHeaderTimeout);
  // For sending a body and for taking an answer: this, and on top the time
  // that the bytes would take at min_bytes_per_second.
  uint64_t transfer_timeout_ns = DefaultNanos(Id::kHttpTransferTimeout);
  uint64_t min_bytes_per_second = DefaultNumber(Id::kHttpMinRate);
  uint64_t linger_ns = DefaultNanos(Id::kHttpLinger);
  // How often timeouts and gone clients are looked for.  No option: nobody
  // would know what to set it to.
  uint64_t sweep_ns = 250 * kNanosPerMilli;

  uint64_t default_deadline_ns = DefaultNanos(Id::kDefaultDeadline);
  uint64_t max_deadline_ns = DefaultNanos(Id::kMaxDeadline);
};

HttpOptions OptionsFrom(const options::Settings& settings);

}  // namespace mlos::http
