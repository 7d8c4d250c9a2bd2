// SPDX-License-Identifier: Apache-2.0
//
// A connection to the daemon, over TCP or a Unix socket.  What is done with it is
// started and then waited for, so that the caller hears from us in between.
// One thread; lives for one exchange.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>
#include <functional>

#include "base/status.h"
#include "cli/target.h"

namespace mlos::cli {

class Connection {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using Endpoint = boost::asio::generic::stream_protocol::endpoint;

  // `on_wait` may be empty.
  explicit Connection(const std::function<void()>& on_wait) : on_wait_(on_wait) {}

  // UNAVAILABLE: nobody listens there.
  Status Open(const Target& target);
  Socket& socket() { return socket_; }
  // Until it is true; what was started on the socket makes it so.
  void Wait(const bool* done) {
    while (!*done) Step();
  }

 private:
  Status OpenTo(const Endpoint& endpoint);
  void Step();

  boost::asio::io_context io_;
  Socket socket_{io_};
  const std::function<void()>& on_wait_;
};

}  // namespace mlos::cli
