// SPDX-License-Identifier: Apache-2.0
//
// The HTTP/1.1 front end: inference under /v2, management under /api/v1.
//
// Threads: built before the loop runs or on its thread; everything else on the
// loop's thread, but for answers of the control path, which are posted to the
// loop from wherever they come.
// Lifetime: the loop, the engine, the control path and the tracer, which may be
// null, outlive the server.
// Destroying it closes all connections and cancels what they wait for.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "base/status.h"
#include "control/operation.h"
#include "engine/engine.h"
#include "frontends/common/client_regions.h"
#include "frontends/http/options.h"
#include "h2/stream.h"
#include "metrics/http_counters.h"
#include "trace/tracer.h"

namespace mlos::http {

class Service;  // frontends/http/exchange.h

class HttpServer {
 public:
  // Without `regions` clients' shared memory is not allowed.
  HttpServer(EventLoop& loop, engine::Engine& engine, control::Control& control,
             HttpOptions options = {}, frontend::RegionTable* regions = nullptr,
             trace::Tracer* tracer = nullptr);
  // The same transport before something else.
  HttpServer(EventLoop& loop, std::unique_ptr<Service> service, HttpOptions options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Listens on HOST:PORT, [v6]:PORT or unix:PATH, as often as it is called;
  // port 0 takes a free one.  Returns the address in use.
  StatusOr<std::string> Listen(std::string_view address);

  // The server will drain soon: it says that it is not ready, still answers
  // everything, and ends each connection after an answer, so that clients that
  // keep connections go elsewhere without an error.
  void Leave();

  // Closes idle connections, lets running requests be answered, then calls
  // `done` (once, on the loop; never if the server is destroyed first).  New
  // requests are answered 503 and Connection: close, but for those that ask how
  // the server is; they do not hold up `done`.
  void Drain(std::function<void()> done);

  // The same service for whoever listens for HTTP/2 on this loop; he goes
  // before this server does.
  h2::Acceptor& over_h2();

  size_t connections() const;
  const metrics::HttpCounters& counters() const;  // any thread

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// OK if `address` is one that only this machine reaches, or else what is wrong with it.
Status CheckLocalAddress(std::string_view address);

}  // namespace mlos::http
