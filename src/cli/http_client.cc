// SPDX-License-Identifier: Apache-2.0
#include "cli/http_client.h"

#include <boost/asio/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "cli/connection.h"

namespace mlos::cli {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

namespace {

constexpr uint64_t kMaxAnswerBytes = uint64_t{4} << 30;  // of tensors
constexpr uint32_t kMaxHeadBytes = 64 << 10;

StatusOr<Answer> Exchange(Connection& connection, const http::request<http::string_body>& message) {
  ErrorCode error;
  bool done = false;
  http::async_write(connection.socket(), message, [&](ErrorCode e, size_t) {
    error = e;
    done = true;
  });
  connection.Wait(&done);
  // A daemon that refuses a large request early has answered nevertheless.
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxAnswerBytes);
  parser.header_limit(kMaxHeadBytes);
  boost::beast::flat_buffer buffer;
  done = false;
  const ErrorCode write_error = error;
  http::async_read(connection.socket(), buffer, parser, [&](ErrorCode e, size_t) {
    error = e;
    done = true;
  });
  connection.Wait(&done);
  if (error) {
    const ErrorCode& first = write_error ? write_error : error;
    if (error == http::error::end_of_stream || error == asio::error::connection_reset) {
      return Unavailable("the connection was closed before an answer came");
    }
    return Unavailable(first.message());
  }
  return Answer{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

}  // namespace

StatusOr<Answer> HttpClient::Send(const Request& request) {
  http::request<http::string_body> message;
  message.method_string(request.method);
  message.target(request.path);
  message.version(11);
  message.set(http::field::host, target_.Authority());
  message.set(http::field::user_agent, "mlos");
  message.set(http::field::connection, "close");
  if (!token_.empty()) message.set(http::field::authorization, "Bearer " + token_);
  if (!request.body.empty()) {
    const bool binary = request.json_size >= 0;
    message.set(http::field::content_type,
                binary ? "application/octet-stream" : "application/json");
    if (binary) {
      message.set("Inference-Header-Content-Length", std::to_string(request.json_size));
    }
    message.body() = request.body;
  }
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    message.content_length(request.body.size());
  }
  Connection connection(on_wait_);
  MLOS_RETURN_IF_ERROR(connection.Open(target_));
  return Exchange(connection, message);
}

}  // namespace mlos::cli
