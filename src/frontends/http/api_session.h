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

#include "base/event_loop.h"
#include "base/log.h"
#include "control/operation.h"
#include "engine/engine.h"
#include "frontends/common/classification.h"
#include "frontends/common/client_regions.h"
#include "frontends/http/exchange.h"
#include "frontends/http/infer_request.h"
#include "frontends/http/options.h"

namespace mlos::http {

// What all sessions share.
struct ApiContext {
  EventLoop& loop;
  engine::Engine& engine;
  control::Control& control;
  const HttpOptions& options;
  metrics::HttpCounters& counters;
  frontend::RegionTable& regions;
  InferDecoder decoder =
      InferDecoder({.max_tensors = options.max_tensors, .max_json_depth = options.max_json_depth});
  frontend::Classifier classifier = {};
  frontend::IdSource ids = {};
  LogLimit lines;         // about requests
  bool leaving = false;   // not ready any more
  bool draining = false;  // and nothing new is begun
};

class Api final : public Service {
 public:
  Api(EventLoop& loop, engine::Engine& engine, control::Control& control,
      const HttpOptions& options, metrics::HttpCounters& counters, frontend::RegionTable& regions);
  std::unique_ptr<Session> NewSession(Exchange& exchange) override;
  void Rest(uint64_t now_ns) override { context_.decoder.Rest(now_ns); }
  void set_leaving() override { context_.leaving = true; }
  void set_draining() override { context_.draining = true; }

 private:
  ApiContext context_;
};

}  // namespace mlos::http
