// SPDX-License-Identifier: Apache-2.0
//
// An HTTP/2 server: listens, accepts, sweeps for what is late, drains.  What it
// serves is the acceptor's.
//
// Threads: built before the loop runs or on its thread; everything else on the
// loop's thread.  Lifetime: loop and acceptor outlive the server.  Destroying
// it closes all connections and aborts their streams.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "base/status.h"
#include "h2/limits.h"
#include "h2/stream.h"
#include "metrics/h2_counters.h"

namespace mlos::h2 {

class Server {
 public:
  Server(EventLoop& loop, Acceptor& acceptor, Limits limits);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens on HOST:PORT, [v6]:PORT or unix:PATH, as often as it is called;
  // port 0 takes a free one.  Returns the address in use.
  StatusOr<std::string> Listen(std::string_view address);

  // The server will drain soon: clients are told to make new connections
  // elsewhere, and everything is still answered.
  void Leave();
  // Tells clients to go, lets running streams be answered, then calls `done`
  // (once, on the loop; never if the server is destroyed first).  What clients
  // have sent by now is read before; then `begin` is called, and connections
  // that come from there on do not hold it up.
  void Drain(std::function<void()> begin, std::function<void()> done);

  size_t connections() const;
  uint64_t buffered_bytes() const;
  const metrics::H2Counters& counters() const;  // any thread

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlos::h2
