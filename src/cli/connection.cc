// SPDX-License-Identifier: Apache-2.0
#include "cli/connection.h"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <vector>

namespace mlos::cli {
namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kConnectLimit = std::chrono::seconds(10);

}  // namespace

Status Connection::Open(const Target& target) {
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
    last = OpenTo(endpoint);
    if (last.ok()) break;
  }
  return last;
}

Status Connection::OpenTo(const Endpoint& endpoint) {
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

void Connection::Step() {
  io_.restart();
  io_.run_for(kTick);
  if (on_wait_) on_wait_();
}

}  // namespace mlos::cli
