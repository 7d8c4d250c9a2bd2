// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/statistics_handler.h"

#include "frontends/common/statistics.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

using frontend::ModelStatistics;
using Duration = metrics::InferStatistics::Duration;

// Load generators read every member as an unsigned integer and expect all of
// them, zero or not.
void AppendCount(uint64_t value, Buffer* out) {
  tensor::AppendJsonInt(static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX)), out);
}

void AppendMember(std::string_view name, uint64_t value, Buffer* out) {
  out->Append(",\"");
  out->Append(name);
  out->Append("\":");
  AppendCount(value, out);
}

// `first`: nothing is before it.
void AppendDuration(std::string_view name, const Duration& duration, Buffer* out,
                    bool first = false) {
  out->Append(first ? "\"" : ",\"");
  out->Append(name);
  out->Append("\":{\"count\":");
  AppendCount(duration.count, out);
  AppendMember("ns", duration.ns, out);
  out->Append('}');
}

void AppendInferenceStats(const metrics::InferStatistics& s, Buffer* out) {
  out->Append(",\"inference_stats\":{");
  AppendDuration("success", s.success, out, true);
  AppendDuration("fail", s.fail, out);
  AppendDuration("queue", s.queue, out);
  AppendDuration("compute_input", s.compute_input, out);
  AppendDuration("compute_infer", s.compute_infer, out);
  AppendDuration("compute_output", s.compute_output, out);
  AppendDuration("cache_hit", {}, out);  // nothing is cached
  AppendDuration("cache_miss", {}, out);
  out->Append('}');
}

void AppendResponseStats(const metrics::InferStatistics& s, Buffer* out) {
  out->Append(",\"response_stats\":{");
  if (const auto response = frontend::ResponsesOf(s)) {
    out->Append("\"0\":{");
    AppendDuration("compute_infer", response->compute_infer, out, true);
    AppendDuration("compute_output", response->compute_output, out);
    AppendDuration("success", response->success, out);
    AppendDuration("fail", response->fail, out);
    AppendDuration("empty_response", response->empty_response, out);
    AppendDuration("cancel", response->cancel, out);
    out->Append('}');
  }
  out->Append('}');
}

void AppendBatchStats(const metrics::InferStatistics& s, Buffer* out) {
  out->Append(",\"batch_stats\":[");
  bool first = true;
  for (const auto& batch : s.batches) {
    const frontend::BatchStatistics row = frontend::RowOf(batch);
    out->Append(std::exchange(first, false) ? "{\"batch_size\":" : ",{\"batch_size\":");
    AppendCount(row.size, out);
    AppendDuration("compute_input", row.compute_input, out);
    AppendDuration("compute_infer", row.compute_infer, out);
    AppendDuration("compute_output", row.compute_output, out);
    out->Append('}');
  }
  out->Append(']');
}

void AppendModel(const ModelStatistics& model, Buffer* out) {
  out->Append("{\"name\":");
  tensor::AppendJsonString(model.name, out);
  out->Append(",\"version\":");
  tensor::AppendJsonString(model.version, out);
  AppendMember("last_inference", model.last_inference_ms, out);
  AppendMember("inference_count", model.counted.inference_count, out);
  AppendMember("execution_count", model.counted.execution_count, out);
  AppendInferenceStats(model.counted, out);
  AppendResponseStats(model.counted, out);
  AppendBatchStats(model.counted, out);
  out->Append(",\"memory_usage\":[");
  if (model.memory_bytes > 0) {
    out->Append("{\"type\":\"CPU\",\"id\":0");
    AppendMember("byte_size", model.memory_bytes, out);
    out->Append('}');
  }
  out->Append("]}");
}

}  // namespace

bool StatisticsHandler::Handle(const Route& route, const Body&, Response& response) {
  const metrics::ModelBook* book = context_.engine.book();
  const auto statistics = frontend::CollectStatistics(
      *context_.engine.routes(), {&book, book == nullptr ? size_t{0} : size_t{1}}, route.name,
      route.version);
  if (!statistics.ok()) {
    response.Error(statistics.status());
    return true;
  }
  response.body.Append("{\"model_stats\":[");
  bool first = true;
  for (const ModelStatistics& model : *statistics) {
    if (!std::exchange(first, false)) response.body.Append(',');
    AppendModel(model, &response.body);
  }
  response.body.Append("]}");
  return true;
}

}  // namespace mlos::http
