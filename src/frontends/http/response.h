// SPDX-License-Identifier: Apache-2.0
//
// An answer as a session writes it: status, text, and blobs that are sent from
// where they lie.  One per connection, reused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "compress/content_coding.h"
#include "frontends/common/request_context.h"
#include "frontends/common/status_map.h"

namespace mlos::http {

struct Response {
  int status = 200;
  bool binary = false;            // Content-Type application/octet-stream, else JSON
  bool retry_after = false;       // Retry-After: 1
  int64_t json_length = -1;       // Inference-Header-Content-Length; -1: no such field
  std::string_view allow;         // Allow: for 405 and OPTIONS; a constant
  std::string_view extra;         // further field lines, each with CRLF; a constant
  std::string_view content_type;  // a constant; empty: by `binary`
  // Set by a session: the answer may be sent so.  The connection leaves it
  // where it has encoded the body, and takes it back where it has not.
  compress::Coding coding = compress::Coding::kIdentity;
  std::string failure;                            // the text of a 5xx, for the log; else empty
  Buffer body;                                    // the JSON text
  std::vector<std::span<const std::byte>> blobs;  // behind it; valid until Session::Sent

  void Clear();
  // 200 and so on, without the blobs' bytes.
  uint64_t content_length() const;

  // {"error":"text"}
  void Error(int http_status, std::string_view text);
  void Error(const Status& error);
  // Of an inference; `never`: not "slow down", but larger than can ever be.
  void CallError(const Status& error, bool never);
  // {"error":{"code","message","hint"}}
  void ManagementError(const Status& error, std::string_view hint);
};

// The status line and the header, with the final empty line.
struct HeadOptions {
  bool close = false;
  bool keep_alive_10 = false;                         // say so to an HTTP/1.0 client
  std::string_view date;                              // "Date: …\r\n"
  const frontend::RequestContext* context = nullptr;  // who the request is, to tell the client
};
void FormatHead(const Response& response, const HeadOptions& options, Buffer* out);

}  // namespace mlos::http
