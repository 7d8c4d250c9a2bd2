// SPDX-License-Identifier: Apache-2.0
#include "metrics/table.h"

#include <iterator>

namespace mlos::metrics {
namespace {

constexpr Type kC = Type::kCounter;
constexpr Type kG = Type::kGauge;
constexpr Type kH = Type::kHistogram;
constexpr Unit kNo = Unit::kNone;
constexpr Unit kSec = Unit::kSeconds;
constexpr Unit kByte = Unit::kBytes;

constexpr Row kTable[] = {
    {Id::kRequests, "mlos_requests_total", kC, kNo, "model,version,protocol,code",
     "Inference requests answered, by canonical code; CANCELLED where the client had left",
     "front ends, when an answer is ready"},
    {Id::kRequestErrors, "mlos_request_errors_total", kC, kNo, "model,version,protocol",
     "Inference requests answered with any code but OK", "sum of the above"},
    {Id::kUnknownModelRequests, "mlos_unknown_model_requests_total", kC, kNo, "protocol,code",
     "Inference requests that named no registered model", "front ends, when an answer is ready"},
    {Id::kRequestDuration, "mlos_request_duration_seconds", kH, kSec, "model,version,protocol",
     "From the last byte of a request to its encoded answer; waiting for a model to load included",
     "front ends, when an answer is ready"},
    {Id::kQueueDuration, "mlos_queue_duration_seconds", kH, kSec, "model,version",
     "From the submission to a plugin host to the start of the run",
     "front ends, from the times that the plugin host reports"},
    {Id::kRunDuration, "mlos_run_duration_seconds", kH, kSec, "model,version",
     "Run of the plugin, inputs checked and outputs written included",
     "front ends, from the times that the plugin host reports"},
    {Id::kRequestsInFlight, "mlos_requests_in_flight", kG, kNo, "model,version",
     "Inference requests that hold the model", "engine, from Resolve to Finish"},
    {Id::kInferences, "mlos_inferences_total", kC, kNo, "model,version",
     "Inferences done: a request that carries a batch counts as its elements",
     "front ends, when an answer is ready"},
    {Id::kBlamedDeaths, "mlos_blamed_host_deaths_total", kC, kNo, "model,version",
     "Deaths and hangs of a plugin host that one request of the model is held to have caused",
     "engine, when a host is lost"},
    {Id::kQuarantined, "mlos_quarantined_requests_total", kC, kNo, "model,version",
     "Requests refused because plugin hosts died of their like", "engine, before the submission"},
    {Id::kModelProcessor, "mlos_model_processor_seconds_total", kC, kSec, "model,version",
     "Processor time of the plugin host that falls to the model by its share of run time; never "
     "more than its run time",
     "at each scrape, from run times and the host's processor time"},
    {Id::kHttpRequests, "mlos_http_requests_total", kC, kNo, "route,status",
     "HTTP requests answered, by class of route and status", "HTTP front end"},
    {Id::kHttpConnectionsOpen, "mlos_http_connections_open", kG, kNo, kNoLabels,
     "HTTP connections that are open", "HTTP front end"},
    {Id::kHttpConnectionsAccepted, "mlos_http_connections_accepted_total", kC, kNo, kNoLabels,
     "HTTP connections that were taken", "HTTP front end"},
    {Id::kHttpConnectionsRefused, "mlos_http_connections_refused_total", kC, kNo, kNoLabels,
     "HTTP connections that were refused because there were too many", "HTTP front end"},
    {Id::kHttpReceived, "mlos_http_received_bytes_total", kC, kByte, kNoLabels,
     "Bytes read from HTTP clients", "HTTP front end"},
    {Id::kHttpSent, "mlos_http_sent_bytes_total", kC, kByte, kNoLabels,
     "Bytes written to HTTP clients", "HTTP front end"},
    {Id::kGrpcConnectionsOpen, "mlos_grpc_connections_open", kG, kNo, kNoLabels,
     "gRPC connections that are open", "gRPC front end"},
    {Id::kGrpcConnectionsAccepted, "mlos_grpc_connections_accepted_total", kC, kNo, kNoLabels,
     "gRPC connections that were taken", "gRPC front end"},
    {Id::kGrpcConnectionsRefused, "mlos_grpc_connections_refused_total", kC, kNo, kNoLabels,
     "gRPC connections that were refused because there were too many", "gRPC front end"},
    {Id::kGrpcConnectionsEnded, "mlos_grpc_connections_ended_total", kC, kNo, "reason",
     "gRPC connections that have ended, by why: drained, idle, peer (the client ended it), "
     "protocol "
     "(no HTTP/2), slow, or a limit: resets, idle_frames, pings, headers, memory",
     "gRPC front end"},
    {Id::kGrpcReceived, "mlos_grpc_received_bytes_total", kC, kByte, kNoLabels,
     "Bytes read from gRPC clients", "gRPC front end"},
    {Id::kGrpcSent, "mlos_grpc_sent_bytes_total", kC, kByte, kNoLabels,
     "Bytes written to gRPC clients", "gRPC front end"},
    {Id::kGrpcCalls, "mlos_grpc_calls_total", kC, kNo, "code",
     "Calls that were answered, by gRPC's status; a request that fails in a stream that goes on is "
     "not one of them",
     "gRPC front end"},
    {Id::kIpcConnectionsOpen, "mlos_ipc_connections_open", kG, kNo, kNoLabels,
     "Connections of the local socket that are open", "local front end"},
    {Id::kIpcConnectionsAccepted, "mlos_ipc_connections_accepted_total", kC, kNo, kNoLabels,
     "Connections of the local socket that were taken", "local front end"},
    {Id::kIpcConnectionsRefused, "mlos_ipc_connections_refused_total", kC, kNo, "reason",
     "Connections of the local socket that were refused, by why: full (too many in all), user (too "
     "many of one user), not_made (no memory, or the kernel did not say whose it is)",
     "local front end"},
    {Id::kIpcConnectionsEnded, "mlos_ipc_connections_ended_total", kC, kNo, "reason",
     "Connections of the local socket that have ended, by why: drained, peer (the client ended "
     "it), handshake (another protocol, or no version that both know), protocol (a frame that "
     "makes no sense), slow (handshake, message or the taking of an answer)",
     "local front end"},
    {Id::kIpcReceived, "mlos_ipc_received_bytes_total", kC, kByte, kNoLabels,
     "Bytes read from the local socket's clients", "local front end"},
    {Id::kIpcSent, "mlos_ipc_sent_bytes_total", kC, kByte, kNoLabels,
     "Bytes written to the local socket's clients", "local front end"},
    {Id::kIpcCalls, "mlos_ipc_calls_total", kC, kNo, "kind,code",
     "Calls over the local socket that were answered, by what they ask (server, model, control, "
     "infer, open, unknown) and canonical code",
     "local front end"},
    {Id::kPluginState, "mlos_plugin_state", kG, kNo, "plugin,version,state",
     "1 for the present state of each registered plugin version", "catalog, at each scrape"},
    {Id::kModelState, "mlos_model_state", kG, kNo, "model,version,plugin,state",
     "1 for the present state of each registered model version", "catalog, at each scrape"},
    {Id::kLoadDuration, "mlos_load_duration_seconds", kH, kSec, "kind,outcome",
     "Time that loading took: kind plugin (start of a host, also of a successor) or model; outcome "
     "ok or failed",
     "backend, plugin hosts"},
    {Id::kHostState, "mlos_host_state", kG, kNo, "plugin,version,state",
     "1 for the present state of each plugin host", "backend, at each scrape"},
    {Id::kHostRestarts, "mlos_host_restarts_total", kC, kNo, "plugin,version",
     "Successors that were started for a plugin host that had died", "backend, plugin hosts"},
    {Id::kHostResident, "mlos_host_resident_memory_bytes", kG, kByte, "plugin,version",
     "Resident memory of the plugin host", "the system, at each scrape"},
    {Id::kHostProcessor, "mlos_host_processor_seconds_total", kC, kSec, "plugin,version,mode",
     "Processor time of the plugin host, mode user or system; begins anew with each successor",
     "the system, at each scrape"},
    {Id::kHostPageFaults, "mlos_host_page_faults_total", kC, kNo, "plugin,version,kind",
     "Page faults of the plugin host, kind minor or major; begins anew with each successor",
     "the system, at each scrape"},
    {Id::kChannelEntries, "mlos_channel_entries_in_use", kG, kNo, "plugin,version,loop",
     "Entries of the channel that hold a request or an answer", "engine, at each scrape"},
    {Id::kChannelEntriesLimit, "mlos_channel_entries", kG, kNo, "plugin,version,loop",
     "Entries that the channel has", "engine, at each scrape"},
    {Id::kChannelRequestBytes, "mlos_channel_request_used_bytes", kG, kByte, "plugin,version,loop",
     "Request memory of the channel that holds requests, or is kept for the next of their size",
     "engine, at each scrape"},
    {Id::kChannelRequestCapacity, "mlos_channel_request_capacity_bytes", kG, kByte,
     "plugin,version,loop", "Request memory of the channel", "engine, at each scrape"},
    {Id::kChannelResponseCapacity, "mlos_channel_response_capacity_bytes", kG, kByte,
     "plugin,version,loop", "Response memory of the channel, of all epochs that are still read",
     "engine, at each scrape"},
    {Id::kControlOperations, "mlos_control_operations_total", kC, kNo, "operation,code",
     "Control operations that were answered, by canonical code", "control path"},
    {Id::kControlDuration, "mlos_control_operation_duration_seconds", kH, kSec, "operation",
     "From the call of a control operation to its answer", "control path"},
    {Id::kLogDropped, "mlos_log_lines_dropped_total", kC, kNo, "source",
     "Lines that were not written to the log: because their source, request or plugin, had many, "
     "or "
     "(log) because its reader was too slow",
     "where they were held back"},
    {Id::kTraceDropped, "mlos_trace_records_dropped_total", kC, kNo, kNoLabels,
     "Requests that were to be traced and are in no file: too many waited to be written, the file "
     "has as much as it may, or it cannot be written",
     "writer of traces"},
    {Id::kBuildInfo, "mlos_build_info", kG, kNo, "version,compiler", "1; what this daemon is",
     "the build"},
    {Id::kProcessCpu, "process_cpu_seconds_total", kC, kSec, kNoLabels,
     "Processor time of mlosd, user and system", "the system, at each scrape"},
    {Id::kProcessResident, "process_resident_memory_bytes", kG, kByte, kNoLabels,
     "Resident memory of mlosd", "the system, at each scrape"},
    {Id::kProcessVirtual, "process_virtual_memory_bytes", kG, kByte, kNoLabels,
     "Virtual memory of mlosd", "the system, at each scrape"},
    {Id::kProcessOpenFds, "process_open_fds", kG, kNo, kNoLabels, "Open descriptors of mlosd",
     "the system, at each scrape"},
    {Id::kProcessMaxFds, "process_max_fds", kG, kNo, kNoLabels,
     "Descriptors that mlosd may have open", "the system, at each scrape"},
    {Id::kProcessStart, "process_start_time_seconds", kG, kSec, kNoLabels,
     "When mlosd was started, in seconds since 1970", "the system, at each scrape"},
};

constexpr bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

constexpr bool IsName(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
  }
  return text[0] >= 'a' && text[0] <= 'z';
}

constexpr bool LabelsAreGood(std::string_view labels) {
  if (labels == kNoLabels) return true;
  while (true) {
    const size_t comma = labels.find(',');
    if (!IsName(labels.substr(0, comma)) || labels.substr(0, comma) == "le") return false;
    if (comma == std::string_view::npos) return true;
    labels.remove_prefix(comma + 1);
  }
}

constexpr bool IsWhole(const Row& row) {
  if (!IsName(row.name) || row.type == Type::kUnset || row.unit == Unit::kUnset) return false;
  if (row.name.substr(0, 5) != "mlos_" && row.name.substr(0, 8) != "process_") return false;
  if (!LabelsAreGood(row.labels) || row.help.empty() || row.counted.empty()) return false;
  std::string_view stem = row.name;
  if (EndsWith(stem, "_total") != (row.type == Type::kCounter)) return false;
  if (row.type == Type::kCounter) stem.remove_suffix(6);
  if (EndsWith(stem, "_seconds") != (row.unit == Unit::kSeconds)) return false;
  return EndsWith(stem, "_bytes") == (row.unit == Unit::kBytes);
}

constexpr bool TableIsWhole() {
  for (size_t i = 0; i < std::size(kTable); ++i) {
    if (kTable[i].id != static_cast<Id>(i) || !IsWhole(kTable[i])) return false;
  }
  return std::size(kTable) == static_cast<size_t>(Id::kCount);
}
static_assert(TableIsWhole(), "a metric lacks its row, or a row a column or a rule of names");

}  // namespace

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kHistogram:
      return "histogram";
    case Type::kGauge:
    case Type::kUnset:
      break;
  }
  return "gauge";
}

std::string_view UnitName(Unit unit) {
  if (unit == Unit::kSeconds) return "seconds";
  if (unit == Unit::kBytes) return "bytes";
  return {};
}

std::span<const Row> Table() { return kTable; }

const Row& RowOf(Id id) { return kTable[static_cast<size_t>(id)]; }

}  // namespace mlos::metrics
