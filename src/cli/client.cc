// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <vector>

namespace mlos::cli {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using Socket = asio::generic::stream_protocol::socket;
using Endpoint = asio::generic::stream_protocol::endpoint;
using ErrorCode = boost::system::error_code;

namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kConnectLimit = std::chrono::seconds(10);
constexpr uint64_t kMaxAnswerBytes = uint64_t{4} << 30;  // of tensors
constexpr uint32_t kMaxHeadBytes = 64 << 10;

// One exchange on one connection: each step is started and then waited for, so
// that the caller hears from us in between.
class Exchange {
 public:
  explicit Exchange(const std::function<void()>& on_wait) : on_wait_(on_wait) {}

  Status Connect(const Target& target) {
    std::vector<Endpoint> endpoints;
    if (!target.unix_path.empty()) {
      endpoints.emplace_back(asio::local::stream_protocol::endpoint(target.unix_path));
    } else {
      asio::ip::tcp::resolver resolver(io_);
      ErrorCode error;
      for (const auto& found : resolver.resolve(target.host, target.port, error)) {
        endpoints.emplace_back(found.endpoint());
      }
      if (error) return Unavailable("there is no host of that name");
    }
    Status last = Unavailable("the name has no address");
    for (const Endpoint& endpoint : endpoints) {
      last = ConnectTo(endpoint);
      if (last.ok()) break;
    }
    return last;
  }

  StatusOr<Answer> Run(const http::request<http::string_body>& message) {
    ErrorCode error;
    bool done = false;
    http::async_write(socket_, message, [&](ErrorCode e, size_t) {
      error = e;
      done = true;
    });
    Wait(&done);
    // A daemon that refuses a large request early has answered nevertheless.
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswerBytes);
    parser.header_limit(kMaxHeadBytes);
    boost::beast::flat_buffer buffer;
    done = false;
    const ErrorCode write_error = error;
    http::async_read(socket_, buffer, parser, [&](ErrorCode e, size_t) {
      error = e;
      done = true;
    });
    Wait(&done);
    if (error) {
      const ErrorCode& first = write_error ? write_error : error;
      if (error == http::error::end_of_stream || error == asio::error::connection_reset) {
        return Unavailable("the connection was closed before an answer came");
      }
      return Unavailable(first.message());
    }
    return Answer{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
  }

 private:
  Status ConnectTo(const Endpoint& endpoint) {
    ErrorCode error = asio::error::timed_out;
    bool done = false;
    socket_ = Socket(io_);
    socket_.async_connect(endpoint, [&](ErrorCode e) {
      error = e;
      done = true;
    });
    const auto end = std::chrono::steady_clock::now() + kConnectLimit;
    while (!done && std::chrono::steady_clock::now() < end) Step();
    if (!done) {
      ErrorCode ignored;
      socket_.close(ignored);
      Wait(&done);
      error = asio::error::timed_out;
    }
    return error ? Unavailable(error.message()) : OkStatus();
  }

  void Step() {
    io_.restart();
    io_.run_for(kTick);
    if (on_wait_) on_wait_();
  }
  void Wait(const bool* done) {
    while (!*done) Step();
  }

  asio::io_context io_;
  Socket socket_{io_};
  const std::function<void()>& on_wait_;
};

}  // namespace

StatusOr<Answer> Client::Send(const Request& request) {
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
  Exchange exchange(on_wait_);
  MLOS_RETURN_IF_ERROR(exchange.Connect(target_));
  return exchange.Run(message);
}

}  // namespace mlos::cli
