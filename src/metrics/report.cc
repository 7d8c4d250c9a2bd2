// SPDX-License-Identifier: Apache-2.0
#include "metrics/report.h"

#include <unistd.h>

namespace mlos::metrics {
namespace {

std::string CodeLabel(size_t code) { return CodeName(static_cast<StatusCode>(code)); }

HistogramValue ValueOf(const Histogram& histogram) {
  HistogramValue value;
  histogram.AddTo(&value);
  return value;
}

#if defined(__clang__)
constexpr std::string_view kCompiler = "clang " __clang_version__;
#else
constexpr std::string_view kCompiler = "gcc " __VERSION__;
#endif

}  // namespace

std::string Report::Write(const State& state, Format format) {
  Gather();
  GatherHosts(state);
  Charge(state);
  Exposition out(format);
  WriteModels(state, out);
  WriteHttp(out);
  WriteGrpc(out);
  WriteIpc(out);
  WriteStates(state, out);
  WriteHosts(out);
  WriteLanes(out);
  WriteControl(out);
  WriteProcess(out);
  hosts_.clear();
  return out.Finish();
}

void Report::Gather() {
  totals_.clear();
  for (const ModelBook* book : sources_.books) {
    for (const auto& counters : book->Read()) {
      Totals& t = totals_[counters->id()];
      for (size_t p = 0; p < kProtocols; ++p) {
        for (size_t c = 0; c < kCodes; ++c) t.requests[p][c] += counters->requests[p][c].value();
        counters->total[p].AddTo(&t.total[p]);
      }
      counters->queue.AddTo(&t.queue);
      counters->run.AddTo(&t.run);
      t.in_flight += counters->in_flight.value();
      t.inferences += counters->inferences.value();
      t.blamed += counters->blamed.value();
      t.quarantined += counters->quarantined.value();
    }
  }
}

void Report::GatherHosts(const State& state) {
  hosts_.clear();
  std::map<uint64_t, HostTime> times;
  std::map<uint64_t, HostGroup*> groups;
  for (const State::Host& host : state.hosts) {
    HostGroup& group = hosts_[{host.plugin, host.version}];
    groups[host.number] = &group;
    group.states.insert(host.state);
    group.restarts += host.restarts;
    const auto stats = ReadProcess(host.pid);
    // The number may be another process's by now.
    if (!stats || stats->parent != getpid()) continue;
    group.measured = true;
    group.stats.user_ns += stats->user_ns;
    group.stats.system_ns += stats->system_ns;
    group.stats.minor_faults += stats->minor_faults;
    group.stats.major_faults += stats->major_faults;
    group.stats.resident_bytes += stats->resident_bytes;
    const uint64_t processor = stats->user_ns + stats->system_ns;
    const HostTime before = host_times_[host.number];
    group.processor_since_ns +=
        before.pid == host.pid ? processor - before.processor_ns : processor;
    times[host.number] = {host.pid, processor};
  }
  host_times_ = std::move(times);
  for (const State::Lane& lane : state.lanes) {
    const auto group = groups.find(lane.host);
    if (group == groups.end()) continue;  // its host has just come or gone
    State::Lane& sum = group->second->lanes[lane.loop];
    sum.entries_used += lane.entries_used;
    sum.entries += lane.entries;
    sum.request_used_bytes += lane.request_used_bytes;
    sum.request_bytes += lane.request_bytes;
    sum.response_bytes += lane.response_bytes;
  }
}

// A host's processor time since the last scrape goes to its models by their
// shares of the run time since then, but no more than that run time: what the
// host computed while it loaded a model or in threads beside the run is nobody's.
void Report::Charge(const State& state) {
  std::map<PluginVersion, uint64_t> run_since;
  std::set<uint64_t> registered;
  const auto since = [&](const State::Model& model) {
    const uint64_t run = totals_[model.id].run.sum_ns;
    const uint64_t seen = charged_[model.id].run_ns;
    return run > seen ? run - seen : 0;
  };
  for (const State::Model& model : state.models) {
    registered.insert(model.id);
    run_since[{model.plugin, model.plugin_version}] += since(model);
  }
  for (const State::Model& model : state.models) {
    Charged& charged = charged_[model.id];
    const uint64_t run = since(model);
    charged.run_ns += run;
    const PluginVersion key(model.plugin, model.plugin_version);
    const auto host = hosts_.find(key);
    if (host == hosts_.end() || run == 0) continue;
    const double share =
        static_cast<double>(host->second.processor_since_ns) / static_cast<double>(run_since[key]);
    charged.processor_ns += static_cast<uint64_t>(static_cast<double>(run) * std::min(share, 1.0));
  }
  std::erase_if(charged_, [&](const auto& entry) { return registered.count(entry.first) == 0; });
}

void Report::WriteModels(const State& state, Exposition& out) {
  const auto each = [&](Id id, const auto& write) {
    out.Begin(id);
    for (const State::Model& model : state.models) write(model, totals_[model.id]);
  };
  each(Id::kRequests, [&](const State::Model& m, const Totals& t) {
    for (size_t p = 0; p < kProtocols; ++p) {
      for (size_t c = 0; c < kCodes; ++c) {
        if (t.requests[p][c] == 0) continue;
        out.Value({m.name, m.version, ProtocolName(static_cast<Protocol>(p)), CodeLabel(c)},
                  t.requests[p][c]);
      }
    }
  });
  each(Id::kRequestErrors, [&](const State::Model& m, const Totals& t) {
    for (size_t p = 0; p < kProtocols; ++p) {
      uint64_t errors = 0;
      for (size_t c = 1; c < kCodes; ++c) errors += t.requests[p][c];
      if (errors + t.requests[p][0] == 0) continue;
      out.Value({m.name, m.version, ProtocolName(static_cast<Protocol>(p))}, errors);
    }
  });
  out.Begin(Id::kUnknownModelRequests);
  for (size_t p = 0; p < kProtocols; ++p) {
    for (size_t c = 0; c < kCodes; ++c) {
      uint64_t n = 0;
      for (const ModelBook* book : sources_.books) n += book->Unknown(static_cast<Protocol>(p), c);
      if (n > 0) out.Value({ProtocolName(static_cast<Protocol>(p)), CodeLabel(c)}, n);
    }
  }
  each(Id::kRequestDuration, [&](const State::Model& m, const Totals& t) {
    for (size_t p = 0; p < kProtocols; ++p) {
      if (t.total[p].count() == 0) continue;
      out.Record({m.name, m.version, ProtocolName(static_cast<Protocol>(p))}, t.total[p]);
    }
  });
  each(Id::kQueueDuration, [&](const State::Model& m, const Totals& t) {
    if (t.queue.count() > 0) out.Record({m.name, m.version}, t.queue);
  });
  each(Id::kRunDuration, [&](const State::Model& m, const Totals& t) {
    if (t.run.count() > 0) out.Record({m.name, m.version}, t.run);
  });
  each(Id::kRequestsInFlight, [&](const State::Model& m, const Totals& t) {
    out.Value({m.name, m.version}, t.in_flight);
  });
  each(Id::kInferences, [&](const State::Model& m, const Totals& t) {
    out.Value({m.name, m.version}, t.inferences);
  });
  each(Id::kBlamedDeaths, [&](const State::Model& m, const Totals& t) {
    out.Value({m.name, m.version}, t.blamed);
  });
  each(Id::kQuarantined, [&](const State::Model& m, const Totals& t) {
    out.Value({m.name, m.version}, t.quarantined);
  });
  each(Id::kModelProcessor, [&](const State::Model& m, const Totals&) {
    out.Seconds({m.name, m.version}, charged_[m.id].processor_ns);
  });
}

void Report::WriteHttp(Exposition& out) const {
  const auto sum = [&](const auto& of) {
    uint64_t all = 0;
    for (const HttpCounters* http : sources_.http) all += of(*http);
    return all;
  };
  out.Begin(Id::kHttpRequests);
  for (size_t route = 0; route < kRouteClasses; ++route) {
    for (int status = HttpCounters::kLeastStatus; status <= HttpCounters::kMostStatus; ++status) {
      const uint64_t n = sum([&](const HttpCounters& h) {
        return h.answers[route][status - HttpCounters::kLeastStatus].value();
      });
      if (n == 0) continue;
      out.Value({RouteClassName(static_cast<RouteClass>(route)), std::to_string(status)}, n);
    }
  }
  out.Begin(Id::kHttpConnectionsOpen);
  out.Value({}, sum([](const HttpCounters& h) { return h.open.value(); }));
  out.Begin(Id::kHttpConnectionsAccepted);
  out.Value({}, sum([](const HttpCounters& h) { return h.accepted.value(); }));
  out.Begin(Id::kHttpConnectionsRefused);
  out.Value({}, sum([](const HttpCounters& h) { return h.refused.value(); }));
  out.Begin(Id::kHttpReceived);
  out.Value({}, sum([](const HttpCounters& h) { return h.received_bytes.value(); }));
  out.Begin(Id::kHttpSent);
  out.Value({}, sum([](const HttpCounters& h) { return h.sent_bytes.value(); }));
}

void Report::WriteGrpc(Exposition& out) const {
  if (sources_.grpc == nullptr) return;
  const H2Counters& grpc = *sources_.grpc;
  out.Begin(Id::kGrpcConnectionsOpen);
  out.Value({}, grpc.open.value());
  out.Begin(Id::kGrpcConnectionsAccepted);
  out.Value({}, grpc.accepted.value());
  out.Begin(Id::kGrpcConnectionsRefused);
  out.Value({}, grpc.refused.value());
  out.Begin(Id::kGrpcConnectionsEnded);
  for (size_t why = 1; why < kH2EndCount; ++why) {
    out.Value({kH2Ends[why]}, grpc.ended[why].value());
  }
  out.Begin(Id::kGrpcReceived);
  out.Value({}, grpc.received_bytes.value());
  out.Begin(Id::kGrpcSent);
  out.Value({}, grpc.sent_bytes.value());
  if (sources_.grpc_calls == nullptr) return;
  out.Begin(Id::kGrpcCalls);
  for (size_t code = 0; code < GrpcCounters::kCodes; ++code) {
    const uint64_t calls = sources_.grpc_calls->answers[code].value();
    if (calls != 0 || code == 0) out.Value({CodeName(static_cast<StatusCode>(code))}, calls);
  }
}

void Report::WriteIpc(Exposition& out) const {
  if (sources_.ipc == nullptr) return;
  const IpcCounters& ipc = *sources_.ipc;
  out.Begin(Id::kIpcConnectionsOpen);
  out.Value({}, ipc.open.value());
  out.Begin(Id::kIpcConnectionsAccepted);
  out.Value({}, ipc.accepted.value());
  out.Begin(Id::kIpcConnectionsRefused);
  for (size_t why = 0; why < kIpcRefusalCount; ++why) {
    out.Value({kIpcRefusals[why]}, ipc.refused[why].value());
  }
  out.Begin(Id::kIpcConnectionsEnded);
  for (size_t why = 0; why < kIpcEnds; ++why) {
    out.Value({IpcEndName(static_cast<IpcEnd>(why))}, ipc.ended[why].value());
  }
  out.Begin(Id::kIpcReceived);
  out.Value({}, ipc.received_bytes.value());
  out.Begin(Id::kIpcSent);
  out.Value({}, ipc.sent_bytes.value());
  out.Begin(Id::kIpcCalls);
  for (size_t kind = 0; kind < kIpcKinds; ++kind) {
    for (size_t code = 0; code < IpcCounters::kCodes; ++code) {
      const uint64_t calls = ipc.answers[kind][code].value();
      if (calls > 0) out.Value({IpcKindName(static_cast<IpcKind>(kind)), CodeLabel(code)}, calls);
    }
  }
}

void Report::WriteStates(const State& state, Exposition& out) const {
  out.Begin(Id::kPluginState);
  for (const State::Plugin& p : state.plugins) out.Value({p.name, p.version, p.state}, 1);
  out.Begin(Id::kModelState);
  for (const State::Model& m : state.models) {
    out.Value({m.name, m.version, m.plugin, m.state}, 1);
  }
  if (sources_.loads == nullptr) return;
  out.Begin(Id::kLoadDuration);
  out.Record({"plugin", "ok"}, ValueOf(sources_.loads->plugin_ok));
  out.Record({"plugin", "failed"}, ValueOf(sources_.loads->plugin_failed));
  out.Record({"model", "ok"}, ValueOf(sources_.loads->model_ok));
  out.Record({"model", "failed"}, ValueOf(sources_.loads->model_failed));
}

void Report::WriteHosts(Exposition& out) const {
  const auto each = [&](Id id, bool measured, const auto& write) {
    out.Begin(id);
    for (const auto& [name, group] : hosts_) {
      if (group.measured || !measured) write(name.first, name.second, group);
    }
  };
  using Text = std::string_view;
  each(Id::kHostState, false, [&](Text plugin, Text version, const HostGroup& g) {
    for (const Text state : g.states) out.Value({plugin, version, state}, 1);
  });
  each(Id::kHostRestarts, false, [&](Text plugin, Text version, const HostGroup& g) {
    out.Value({plugin, version}, g.restarts);
  });
  each(Id::kHostResident, true, [&](Text plugin, Text version, const HostGroup& g) {
    out.Value({plugin, version}, g.stats.resident_bytes);
  });
  each(Id::kHostProcessor, true, [&](Text plugin, Text version, const HostGroup& g) {
    out.Seconds({plugin, version, "user"}, g.stats.user_ns);
    out.Seconds({plugin, version, "system"}, g.stats.system_ns);
  });
  each(Id::kHostPageFaults, true, [&](Text plugin, Text version, const HostGroup& g) {
    out.Value({plugin, version, "minor"}, g.stats.minor_faults);
    out.Value({plugin, version, "major"}, g.stats.major_faults);
  });
}

void Report::WriteLanes(Exposition& out) const {
  const auto each = [&](Id id, uint64_t State::Lane::*value) {
    out.Begin(id);
    for (const auto& [name, group] : hosts_) {
      for (const auto& [loop, lane] : group.lanes) {
        out.Value({name.first, name.second, loop}, lane.*value);
      }
    }
  };
  each(Id::kChannelEntries, &State::Lane::entries_used);
  each(Id::kChannelEntriesLimit, &State::Lane::entries);
  each(Id::kChannelRequestBytes, &State::Lane::request_used_bytes);
  each(Id::kChannelRequestCapacity, &State::Lane::request_bytes);
  each(Id::kChannelResponseCapacity, &State::Lane::response_bytes);
}

void Report::WriteControl(Exposition& out) const {
  if (sources_.control != nullptr) {
    const auto& operations = sources_.control->operations();
    out.Begin(Id::kControlOperations);
    for (const auto& operation : operations) {
      for (size_t code = 0; code < kCodes; ++code) {
        const uint64_t n = operation->codes[code].value();
        if (n > 0) out.Value({operation->name, CodeLabel(code)}, n);
      }
    }
    out.Begin(Id::kControlDuration);
    for (const auto& operation : operations) {
      const HistogramValue value = ValueOf(operation->duration);
      if (value.count() > 0) out.Record({operation->name}, value);
    }
  }
  out.Begin(Id::kLogDropped);
  if (sources_.loads != nullptr) out.Value({"plugin"}, sources_.loads->log_lines_dropped.value());
  if (sources_.request_lines_dropped != nullptr) {
    const uint64_t calls =
        sources_.grpc_calls == nullptr ? 0 : sources_.grpc_calls->lines_dropped.value();
    out.Value({"request"}, sources_.request_lines_dropped->value() + calls);
  }
  if (sources_.log_lines_dropped) out.Value({"log"}, sources_.log_lines_dropped());
  out.Begin(Id::kTraceDropped);
  if (sources_.trace_records_dropped) out.Value({}, sources_.trace_records_dropped());
}

void Report::WriteProcess(Exposition& out) const {
  out.Begin(Id::kBuildInfo);
  out.Value({sources_.version, kCompiler}, 1);
  const auto self = ReadProcess(getpid());
  if (!self) return;
  out.Begin(Id::kProcessCpu);
  out.Seconds({}, self->user_ns + self->system_ns);
  out.Begin(Id::kProcessResident);
  out.Value({}, self->resident_bytes);
  out.Begin(Id::kProcessVirtual);
  out.Value({}, self->virtual_bytes);
  out.Begin(Id::kProcessOpenFds);
  out.Value({}, OpenDescriptors());
  out.Begin(Id::kProcessMaxFds);
  out.Value({}, DescriptorLimit());
  out.Begin(Id::kProcessStart);
  out.Seconds({}, MachineStartSeconds() * 1'000'000'000 + self->started_ns);
}

}  // namespace mlos::metrics
