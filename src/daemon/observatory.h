// SPDX-License-Identifier: Apache-2.0
//
// The metrics listener: a loop and a low-priority thread of its own, so that a
// scrape delays nobody.  For each scrape it asks the control loop what there
// is and the front loop how full its channels are, and reads the counters
// itself.
//
// Threads: Start and Stop on the thread that owns it; Write on its loop.
// Lifetime: what Parts names outlives it; Stop when the other loops run no
// more.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "engine/channel_engine.h"
#include "frontends/http/metrics_page.h"
#include "frontends/http/server.h"
#include "lifecycle/manager.h"
#include "metrics/grpc_counters.h"
#include "metrics/h2_counters.h"
#include "metrics/ipc_counters.h"
#include "metrics/report.h"
#include "trace/tracer.h"

namespace mlos::daemon {

class Observatory final : public http::MetricsSource {
 public:
  struct Parts {
    EventLoop& control;
    const catalog::Catalog& catalog;
    const lifecycle::Manager& manager;
    engine::ChannelEngine& engine;
    const metrics::HttpCounters& http;
    const metrics::H2Counters& grpc;
    const metrics::GrpcCounters& grpc_calls;
    const metrics::IpcCounters& ipc;
    const metrics::ControlCounters& operations;
    const metrics::LoadCounters& loads;
    const trace::Tracer& tracer;
  };
  explicit Observatory(const Parts& parts);
  ~Observatory() override;

  // Listens on each address but "off"; the thread starts if there is one.
  Status Start(const std::vector<std::string>& addresses);
  void Stop();
  const std::vector<std::string>& addresses() const { return in_use_; }

  // MetricsSource
  void Write(metrics::Format format, std::function<void(std::string)> done) override;

 private:
  metrics::State Look() const;  // control loop

  const Parts parts_;
  EventLoop loop_;
  metrics::Report report_;
  std::unique_ptr<http::HttpServer> server_;
  std::vector<std::string> in_use_;
  std::thread thread_;
};

}  // namespace mlos::daemon
