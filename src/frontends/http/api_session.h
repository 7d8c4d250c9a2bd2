// SPDX-License-Identifier: Apache-2.0
//
// What is served: routes a connection's requests to inference, metadata,
// health and management.
//
// Api is one per server and makes a session per connection.  Threads: the
// event loop's; answers of the control path are posted to it.
// Lifetime: Api outlives its sessions' requests; the loop, the engine and the
// control path outlive Api.
#pragma once

#include <memory>

#include "frontends/http/api_context.h"
#include "frontends/http/exchange.h"

namespace mlos::http {

class Api final : public Service {
 public:
  Api(EventLoop& loop, engine::Engine& engine, control::Control& control,
      const HttpOptions& options, metrics::HttpCounters& counters, frontend::RegionTable& regions,
      trace::Tracer* tracer);
  std::unique_ptr<Session> NewSession(Exchange& exchange) override;
  void Rest(uint64_t now_ns) override { context_.decoder.Rest(now_ns); }
  void set_leaving() override { context_.leaving = true; }
  void set_draining() override { context_.draining = true; }

 private:
  ApiContext context_;
};

}  // namespace mlos::http
