// SPDX-License-Identifier: Apache-2.0
#include "daemon/observatory.h"

#include <fmt/core.h>
#include <sys/resource.h>

#include <utility>

#include "base/log.h"
#include "daemon/version.h"

namespace mlos::daemon {
namespace {

constexpr int kNice = 10;
constexpr std::string_view kFrontLoop = "front";

// Scrapers are few and send little.
http::HttpOptions ListenerOptions() {
  http::HttpOptions options;
  options.max_connections = 64;
  options.max_buffered_bytes = 256 << 20;
  return options;
}

}  // namespace

Observatory::Observatory(const Parts& parts)
    : parts_(parts),
      report_({.version = kVersion,
               .books = {&parts.engine.counters()},
               .http = {&parts.http},
               .control = &parts.operations,
               .loads = &parts.loads,
               .request_lines_dropped = &parts.http.lines_dropped,
               .log_lines_dropped = LogLinesDropped,
               .trace_records_dropped = [&tracer = parts.tracer] { return tracer.dropped(); },
               .grpc = &parts.grpc,
               .grpc_calls = &parts.grpc_calls,
               .ipc = &parts.ipc}),
      server_(std::make_unique<http::HttpServer>(loop_, http::NewMetricsService(loop_, *this),
                                                 ListenerOptions())) {}

Observatory::~Observatory() { Stop(); }

Status Observatory::Start(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    if (address == "off") continue;
    StatusOr<std::string> in_use = server_->Listen(address);
    if (!in_use.ok()) {
      return MakeStatus(in_use.status().code(),
                        fmt::format("metrics: {}: free it, or choose another with "
                                    "--metrics-address HOST:PORT (port 0 takes a free one; off: "
                                    "none)",
                                    Message(in_use.status())));
    }
    Log(LogLevel::kInfo, "metrics on {}", *in_use);
    in_use_.push_back(*std::move(in_use));
  }
  if (in_use_.empty()) return OkStatus();
  thread_ = std::thread([this] {
    setpriority(PRIO_PROCESS, 0, kNice);  // on Linux of this thread alone
    loop_.Run();
  });
  return OkStatus();
}

void Observatory::Stop() {
  loop_.Stop();
  if (thread_.joinable()) thread_.join();
}

metrics::State Observatory::Look() const {
  metrics::State state;
  for (const auto& [name, versions] : parts_.catalog.plugins()) {
    for (const auto& [version, plugin] : versions) {
      state.plugins.push_back({name, plugin->manifest.version, StateName(plugin->state)});
    }
  }
  for (const auto& [name, versions] : parts_.catalog.models()) {
    for (const auto& [version, model] : versions) {
      state.models.push_back({model->id, name, std::to_string(model->version), model->plugin,
                              model->plugin_version, StateName(model->state)});
    }
  }
  for (const auto& row : parts_.manager.Hosts()) {
    state.hosts.push_back({row.number, row.plugin, row.version, HostStateName(row.host->state()),
                           row.host->pid(), row.host->restarts()});
  }
  return state;
}

// From loop to loop, each doing only what is its own.
void Observatory::Write(metrics::Format format, std::function<void(std::string)> done) {
  parts_.control.Post([this, format, done = std::move(done)] {
    const auto state = std::make_shared<metrics::State>(Look());
    parts_.engine.Measure([this, format, done, state](engine::ChannelEngine::LaneUsage lanes) {
      loop_.Post([this, format, done, state, lanes = std::move(lanes)] {
        for (const auto& [host, usage] : lanes) {
          state->lanes.push_back({host, kFrontLoop, usage.entries_used, usage.entries,
                                  usage.request_used_bytes, usage.request_bytes,
                                  usage.response_bytes});
        }
        done(report_.Write(*state, format));
      });
    });
  });
}

}  // namespace mlos::daemon
