// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/options.h"

namespace mlos::http {

HttpOptions OptionsFrom(const options::Settings& settings) {
  HttpOptions o;
  const auto number32 = [&](Id id) { return static_cast<uint32_t>(settings.Number(id)); };
  o.max_header_bytes = number32(Id::kHttpMaxHeader);
  o.max_body_bytes = settings.Number(Id::kHttpMaxBody);
  o.max_management_body_bytes = settings.Number(Id::kHttpMaxManagementBody);
  o.max_buffered_bytes = settings.Number(Id::kHttpMaxBuffered);
  o.max_json_response_bytes = settings.Number(Id::kHttpMaxJsonResponse);
  o.max_ratio = number32(Id::kHttpMaxRatio);
  o.compress_from_bytes = settings.Number(Id::kHttpCompressFrom);
  o.max_chunks = number32(Id::kHttpMaxChunks);
  o.max_connections = number32(Id::kHttpMaxConnections);
  o.max_connections_per_address = number32(Id::kHttpMaxConnectionsPerAddress);
  o.max_tensors = number32(Id::kHttpMaxTensors);
  o.max_json_depth = number32(Id::kHttpMaxJsonDepth);
  o.idle_timeout_ns = settings.Nanos(Id::kHttpIdleTimeout);
  o.header_timeout_ns = settings.Nanos(Id::kHttpHeaderTimeout);
  o.transfer_timeout_ns = settings.Nanos(Id::kHttpTransferTimeout);
  o.min_bytes_per_second = settings.Number(Id::kHttpMinRate);
  o.linger_ns = settings.Nanos(Id::kHttpLinger);
  o.default_deadline_ns = settings.Nanos(Id::kDefaultDeadline);
  o.max_deadline_ns = settings.Nanos(Id::kMaxDeadline);
  return o;
}

}  // namespace mlos::http
