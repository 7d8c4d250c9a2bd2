// SPDX-License-Identifier: Apache-2.0
//
// GET /metrics: the service of the metrics listener.
//
// Threads: its server's loop; the source answers from wherever it likes.
// Lifetime: loop and source outlive the service.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "frontends/http/exchange.h"
#include "metrics/exposition.h"

namespace mlos::http {

class MetricsSource {
 public:
  virtual ~MetricsSource() = default;
  // Calls `done` once, on any thread, now or later.
  virtual void Write(metrics::Format format, std::function<void(std::string)> done) = 0;
};

std::unique_ptr<Service> NewMetricsService(EventLoop& loop, MetricsSource& source);

}  // namespace mlos::http
