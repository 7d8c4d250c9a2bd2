// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/response.h"

#include <charconv>

#include "tensor/json_text.h"

namespace mlos::http {
namespace {

void AppendNumber(uint64_t value, Buffer* out) {
  char* p = out->Tail(20);
  out->Advance(static_cast<size_t>(std::to_chars(p, p + 20, value).ptr - p));
}

}  // namespace

void Response::Clear() {
  status = 200;
  binary = false;
  retry_after = false;
  json_length = -1;
  allow = {};
  extra = {};
  content_type = {};
  coding = compress::Coding::kIdentity;
  failure.clear();
  body.Clear();
  blobs.clear();
}

uint64_t Response::content_length() const {
  uint64_t total = body.size();
  for (const auto& blob : blobs) total += blob.size();
  return total;
}

void Response::Error(int http_status, std::string_view text) {
  Clear();
  status = http_status;
  if (status >= 500) failure = text;
  body.Append("{\"error\":");
  tensor::AppendJsonString(text, &body);
  body.Append('}');
}

void Response::Error(const Status& error) {
  Error(frontend::HttpStatus(error.code(), frontend::Surface::kInference), Message(error));
  retry_after = frontend::IsRetryable(error.code());
}

void Response::CallError(const Status& error, bool never) {
  Error(error);
  if (!never) return;
  status = 413;
  retry_after = false;
}

void Response::ManagementError(const Status& error, std::string_view hint) {
  Clear();
  status = frontend::HttpStatus(error.code(), frontend::Surface::kManagement);
  retry_after = frontend::IsRetryable(error.code());
  if (status >= 500) failure = Message(error);
  body.Append("{\"error\":{\"code\":");
  tensor::AppendJsonString(CodeName(error.code()), &body);
  body.Append(",\"message\":");
  tensor::AppendJsonString(Message(error), &body);
  body.Append(",\"hint\":");
  tensor::AppendJsonString(hint, &body);
  body.Append("}}");
}

void FormatHead(const Response& response, const HeadOptions& options, Buffer* out) {
  out->Append("HTTP/1.1 ");
  AppendNumber(static_cast<uint64_t>(response.status), out);
  out->Append(' ');
  out->Append(frontend::HttpReason(response.status));
  const uint64_t length = response.content_length();
  if (!response.content_type.empty()) {
    out->Append("\r\nContent-Type: ");
    out->Append(response.content_type);
  } else if (response.binary) {
    out->Append("\r\nContent-Type: application/octet-stream");
  } else if (length > 0) {
    out->Append("\r\nContent-Type: application/json");
  }
  if (response.coding != compress::Coding::kIdentity) {
    out->Append("\r\nContent-Encoding: ");
    out->Append(compress::CodingName(response.coding));
  }
  out->Append("\r\nContent-Length: ");
  AppendNumber(length, out);
  if (response.json_length >= 0) {
    out->Append("\r\nInference-Header-Content-Length: ");
    AppendNumber(static_cast<uint64_t>(response.json_length), out);
  }
  out->Append("\r\n");
  if (!response.allow.empty()) {
    out->Append("Allow: ");
    out->Append(response.allow);
    out->Append("\r\n");
  }
  if (response.retry_after) out->Append("Retry-After: 1\r\n");
  out->Append(response.extra);
  if (options.context != nullptr) {
    out->Append("X-Request-Id: ");
    out->Append(options.context->request_id());
    out->Append("\r\n");
    if (const std::string_view trace = options.context->traceparent(); !trace.empty()) {
      out->Append("Traceparent: ");
      out->Append(trace);
      out->Append("\r\n");
    }
  }
  if (options.close) {
    out->Append("Connection: close\r\n");
  } else if (options.keep_alive_10) {
    out->Append("Connection: keep-alive\r\n");
  }
  out->Append(options.date);
  out->Append("\r\n");
}

}  // namespace mlos::http
