// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/statistics.h"

#include "frontends/grpc/model_methods.h"

namespace mlos::grpc {
namespace {

using Duration = metrics::InferStatistics::Duration;

void Set(const Duration& duration, inference::StatisticDuration* out) {
  out->set_count(duration.count);
  out->set_ns(duration.ns);
}

void FillInference(const metrics::InferStatistics& s, inference::InferStatistics* out) {
  Set(s.success, out->mutable_success());
  Set(s.fail, out->mutable_fail());
  Set(s.queue, out->mutable_queue());
  Set(s.compute_input, out->mutable_compute_input());
  Set(s.compute_infer, out->mutable_compute_infer());
  Set(s.compute_output, out->mutable_compute_output());
  Set({}, out->mutable_cache_hit());  // nothing is cached
  Set({}, out->mutable_cache_miss());
}

void FillResponses(const metrics::InferStatistics& s, inference::ModelStatistics* out) {
  const auto response = frontend::ResponsesOf(s);
  if (!response) return;
  inference::InferResponseStatistics& first = (*out->mutable_response_stats())["0"];
  Set(response->compute_infer, first.mutable_compute_infer());
  Set(response->compute_output, first.mutable_compute_output());
  Set(response->success, first.mutable_success());
  Set(response->fail, first.mutable_fail());
  Set(response->empty_response, first.mutable_empty_response());
  Set(response->cancel, first.mutable_cancel());
}

void FillModel(const frontend::ModelStatistics& model, inference::ModelStatistics* out) {
  out->set_name(model.name);
  out->set_version(model.version);
  out->set_last_inference(model.last_inference_ms);
  out->set_inference_count(model.counted.inference_count);
  out->set_execution_count(model.counted.execution_count);
  FillInference(model.counted, out->mutable_inference_stats());
  FillResponses(model.counted, out);
  for (const auto& batch : model.counted.batches) {
    const frontend::BatchStatistics row = frontend::RowOf(batch);
    auto* to = out->add_batch_stats();
    to->set_batch_size(row.size);
    Set(row.compute_input, to->mutable_compute_input());
    Set(row.compute_infer, to->mutable_compute_infer());
    Set(row.compute_output, to->mutable_compute_output());
  }
  if (model.memory_bytes == 0) return;
  auto* memory = out->add_memory_usage();
  memory->set_type("CPU");
  memory->set_byte_size(model.memory_bytes);
}

}  // namespace

Status AnswerStatistics(const ServiceContext& context,
                        const inference::ModelStatisticsRequest& request,
                        inference::ModelStatisticsResponse* answer) {
  engine::Engine& engine = context.engine();
  const metrics::ModelBook* book = engine.book();
  MLOS_ASSIGN_OR_RETURN(const auto statistics,
                        frontend::CollectStatistics(
                            *engine.routes(), {&book, book == nullptr ? size_t{0} : size_t{1}},
                            request.name(), request.version()));
  for (const frontend::ModelStatistics& model : statistics) {
    FillModel(model, answer->add_model_stats());
  }
  return OkStatus();
}

}  // namespace mlos::grpc
