// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/call_log.h"

#include "base/clock.h"
#include "frontends/common/status_map.h"

namespace mlos::grpc {
namespace {

LogLevel LevelOf(const Status& status) {
  const bool failed = frontend::HttpStatus(status.code(), frontend::Surface::kInference) >= 500;
  return failed ? LogLevel::kWarning : LogLevel::kDebug;
}

}  // namespace

void CallLog::Begin(const rpc::Call& call) {
  request_.Begin(call.Metadata("x-request-id"), call.Metadata("traceparent"),
                 call.Metadata("tracestate"), ids_);
}

void CallLog::OnAnswered(rpc::Call& call, const Status& status) {
  const auto code = static_cast<size_t>(status.code());
  if (code < metrics::GrpcCounters::kCodes) counters_.answers[code].Add();
  const bool logged = LogEnabled(LevelOf(status));
  if (status.ok() && !logged) return;
  Begin(call);
  if (!status.ok()) call.AddTrailer("x-request-id", request_.request_id());
  if (logged) Line(call, call.arrived_ns(), status);
}

void CallLog::OnRequestAnswered(const rpc::Call& call, uint64_t began_ns, const Status& status) {
  if (!LogEnabled(LevelOf(status))) return;
  Begin(call);
  Line(call, began_ns, status);
}

void CallLog::Line(const rpc::Call& call, uint64_t began_ns, const Status& status) {
  const uint64_t now = NowNanos();
  uint64_t held_back = 0;
  const bool allowed = lines_.Allow(now, &held_back);
  if (held_back > 0) {
    Log(LogLevel::kWarning, "{} lines about calls were held back: there were too many", held_back);
  }
  if (!allowed) {
    counters_.lines_dropped.Add();
    return;
  }
  const std::string code = CodeName(status.code());
  const std::string_view path = call.path();
  Log(LevelOf(status),
      {{"request_id", request_.request_id()},
       {"trace_id", request_.trace_id()},
       {"span_id", request_.span_id()},
       {"tracestate", request_.tracestate()},
       {"method", path.empty() ? path : path.substr(1)},
       {"code", code}},
      "gRPC {} answered {} after {} µs{}{}", path.substr(path.rfind('/') + 1), code,
      (now - began_ns) / kNanosPerMicro, status.ok() ? "" : ": ", Message(status));
}

}  // namespace mlos::grpc
