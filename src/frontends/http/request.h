// SPDX-License-Identifier: Apache-2.0
//
// A request's head as the connection hands it to a session.  Its views point
// into the connection's input buffer and are gone when Session::OnHead
// returns.
#pragma once

#include <cstdint>
#include <string_view>

#include "compress/content_coding.h"

namespace mlos::http {

enum class Method : uint8_t { kGet, kHead, kPost, kPut, kDelete, kOptions, kOther };

struct RequestHead {
  Method method = Method::kOther;
  std::string_view target;  // as sent: path and query
  bool keep_alive = true;
  bool http10 = false;
  bool chunked = false;
  bool has_length = false;
  bool expects_continue = false;
  bool bad_expectation = false;  // an Expect that is not 100-continue
  bool bad_json_length = false;  // Inference-Header-Content-Length is no number
  compress::Coding coding = compress::Coding::kIdentity;  // Content-Encoding
  uint64_t content_length = 0;
  int64_t json_length = -1;  // Inference-Header-Content-Length; -1: not given
  std::string_view host;
  std::string_view origin;
  std::string_view authorization;
  std::string_view accept;
  std::string_view accept_encoding;
  // Empty also where it is given twice: then nobody knows which.
  std::string_view request_id;   // X-Request-Id
  std::string_view traceparent;  // W3C Trace Context
  std::string_view tracestate;
  uint32_t host_count = 0;
};

// A complete body.  Behind it lie kBodyPadding bytes that may be read.
struct Body {
  const char* data = nullptr;
  uint64_t size = 0;
};
constexpr uint64_t kBodyPadding = 64;

}  // namespace mlos::http
