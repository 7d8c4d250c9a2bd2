// SPDX-License-Identifier: Apache-2.0
//
// Everything that a scrape shows, from the counters, from what the caller says
// of the present state, and from the system.
//
// Threads: one at a time.  Lifetime: what Sources points to outlives it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/control_counters.h"
#include "metrics/exposition.h"
#include "metrics/grpc_counters.h"
#include "metrics/h2_counters.h"
#include "metrics/http_counters.h"
#include "metrics/ipc_counters.h"
#include "metrics/model_counters.h"
#include "metrics/process_stats.h"

namespace mlos::metrics {

// The objects that are there: labels come from here and from nowhere else.
struct State {
  struct Plugin {
    std::string name;
    std::string version;
    std::string_view state;
  };
  struct Model {
    uint64_t id = 0;  // as in ModelBook::Of
    std::string name;
    std::string version;
    std::string plugin;
    std::string plugin_version;  // that runs it; empty: none does
    std::string_view state;
  };
  struct Host {
    uint64_t number = 0;
    std::string plugin;
    std::string version;
    std::string_view state;
    pid_t pid = 0;
    uint64_t restarts = 0;
  };
  struct Lane {
    uint64_t host = 0;  // number
    std::string_view loop;
    uint64_t entries_used = 0;
    uint64_t entries = 0;
    uint64_t request_used_bytes = 0;
    uint64_t request_bytes = 0;
    uint64_t response_bytes = 0;
  };
  std::vector<Plugin> plugins;
  std::vector<Model> models;
  std::vector<Host> hosts;
  std::vector<Lane> lanes;
};

class Report {
 public:
  struct Sources {
    std::string version;  // of the build
    std::vector<const ModelBook*> books;
    std::vector<const HttpCounters*> http;
    const ControlCounters* control = nullptr;
    const LoadCounters* loads = nullptr;
    const Counter* request_lines_dropped = nullptr;
    std::function<uint64_t()> log_lines_dropped;  // its reader being too slow
    std::function<uint64_t()> trace_records_dropped;
    const H2Counters* grpc = nullptr;
    const GrpcCounters* grpc_calls = nullptr;
    const IpcCounters* ipc = nullptr;
  };
  explicit Report(Sources sources) : sources_(std::move(sources)) {}

  std::string Write(const State& state, Format format);

 private:
  struct Totals {
    uint64_t requests[kProtocols][kCodes] = {};
    HistogramValue total[kProtocols];
    HistogramValue queue;
    HistogramValue run;
    uint64_t in_flight = 0;
    uint64_t inferences = 0;
    uint64_t blamed = 0;
    uint64_t quarantined = 0;
  };
  // Processor time of a host, as far as models are charged with it.
  struct Charged {
    uint64_t run_ns = 0;  // seen so far
    uint64_t processor_ns = 0;
  };
  struct HostTime {
    pid_t pid = 0;
    uint64_t processor_ns = 0;
  };
  // The hosts of one plugin version: one, or two while one takes over from the
  // other.
  struct HostGroup {
    std::set<std::string_view> states;
    uint64_t restarts = 0;
    bool measured = false;
    ProcessStats stats;
    uint64_t processor_since_ns = 0;                // since the last scrape
    std::map<std::string_view, State::Lane> lanes;  // by loop
  };
  using PluginVersion = std::pair<std::string_view, std::string_view>;

  void Gather();
  void GatherHosts(const State& state);
  void Charge(const State& state);
  void WriteModels(const State& state, Exposition& out);
  void WriteHttp(Exposition& out) const;
  void WriteGrpc(Exposition& out) const;
  void WriteIpc(Exposition& out) const;
  void WriteStates(const State& state, Exposition& out) const;
  void WriteHosts(Exposition& out) const;
  void WriteLanes(Exposition& out) const;
  void WriteControl(Exposition& out) const;
  void WriteProcess(Exposition& out) const;

  const Sources sources_;
  std::map<uint64_t, Totals> totals_;         // by model id; of this scrape
  std::map<PluginVersion, HostGroup> hosts_;  // of this scrape, names of its State
  std::map<uint64_t, Charged> charged_;       // by model id
  std::map<uint64_t, HostTime> host_times_;   // by host number
};

}  // namespace mlos::metrics
