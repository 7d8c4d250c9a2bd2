// SPDX-License-Identifier: Apache-2.0
#include "metrics/model_counters.h"

#include <algorithm>

namespace mlos::metrics {
namespace {

size_t CodeIndex(StatusCode code) {
  const auto number = static_cast<size_t>(code);
  return number < kCodes ? number : static_cast<size_t>(StatusCode::kUnknown);
}

}  // namespace

std::string_view ProtocolName(Protocol protocol) {
  constexpr std::string_view kNames[kProtocols] = {"http", "grpc", "ipc"};
  return kNames[static_cast<size_t>(protocol)];
}

// Small sizes, which are most, are found at the first look.
void BatchCounters::Count(uint64_t size, uint64_t infer_ns) {
  if (size == 0) return;
  for (size_t i = 0; i < kRows; ++i) {
    Row& row = rows_[(size + i) % kRows];
    const uint64_t there = row.size.load(std::memory_order_relaxed);
    if (there != size && there != 0) continue;
    row.count.Add();
    row.infer_ns.Add(infer_ns);
    if (there == 0) row.size.store(size, std::memory_order_release);
    return;
  }
}

void ModelCounters::Count(const Answered& a) {
  const auto protocol = static_cast<size_t>(a.protocol);
  const uint64_t took = a.answered_ns > a.arrived_ns ? a.answered_ns - a.arrived_ns : 0;
  requests[protocol][CodeIndex(a.code)].Add();
  total[protocol].Record(took);
  const bool ok = a.code == StatusCode::kOk;
  (ok ? success_ns : fail_ns).Add(took);
  if (a.code == StatusCode::kCancelled) cancelled_ns.Add(took);
  last_ns.Set(a.answered_ns);
  if (a.submitted_ns == 0 || a.started_ns == 0) return;
  const uint64_t started =
      std::clamp(a.started_ns, a.submitted_ns, std::max(a.submitted_ns, a.answered_ns));
  const uint64_t finished = std::clamp(a.finished_ns, started, std::max(started, a.answered_ns));
  queue.Record(started - a.submitted_ns);
  run.Record(finished - started);
  executions.Add();
  if (!ok) {
    if (a.code == StatusCode::kCancelled) return;
    failed_runs.Add();
    failed_runs_ns.Add(finished - started);
    return;
  }
  success_queue_ns.Add(started - a.submitted_ns);
  success_infer_ns.Add(finished - started);
  inferences.Add(a.batch);
  batches.Count(a.batch, finished - started);
}

void ModelCounters::Count(const AnsweredApart& a) {
  if (a.count == 0) return;
  constexpr auto kProtocol = static_cast<size_t>(Protocol::kIpc);
  const uint64_t took = a.queue_ns + a.run_ns;
  requests[kProtocol][CodeIndex(a.code)].Add(a.count);
  total[kProtocol].Record(took / a.count, a.count);
  const bool ok = a.code == StatusCode::kOk;
  (ok ? success_ns : fail_ns).Add(took);
  if (a.code == StatusCode::kCancelled) cancelled_ns.Add(took);
  last_ns.Set(a.now_ns);
  if (a.executions == 0) return;
  queue.Record(a.queue_ns / a.executions, a.executions);
  run.Record(a.run_ns / a.executions, a.executions);
  executions.Add(a.executions);
  if (!ok) {
    if (a.code == StatusCode::kCancelled) return;
    failed_runs.Add(a.executions);
    failed_runs_ns.Add(a.run_ns);
    return;
  }
  success_queue_ns.Add(a.queue_ns);
  success_infer_ns.Add(a.run_ns);
  inferences.Add(a.inferences);
}

namespace {

void AddBatches(const BatchCounters& counters, std::vector<InferStatistics::Batch>* batches) {
  for (const BatchCounters::Row& row : counters.rows()) {
    const uint64_t size = row.size.load(std::memory_order_acquire);
    if (size == 0) continue;
    auto at = std::lower_bound(batches->begin(), batches->end(), size,
                               [](const auto& batch, uint64_t s) { return batch.size < s; });
    if (at == batches->end() || at->size != size) at = batches->insert(at, {size, {}});
    at->compute_infer.count += row.count.value();
    at->compute_infer.ns += row.infer_ns.value();
  }
}

}  // namespace

void AddTo(const ModelCounters& counters, InferStatistics* s) {
  uint64_t success = 0;
  uint64_t fail = 0;
  uint64_t cancelled = 0;
  for (const auto& codes : counters.requests) {
    success += codes[0].value();
    cancelled += codes[CodeIndex(StatusCode::kCancelled)].value();
    for (size_t code = 1; code < kCodes; ++code) fail += codes[code].value();
  }
  const auto add = [](InferStatistics::Duration* d, uint64_t count, uint64_t ns) {
    d->count += count;
    d->ns += ns;
  };
  add(&s->success, success, counters.success_ns.value());
  add(&s->fail, fail, counters.fail_ns.value());
  add(&s->queue, success, counters.success_queue_ns.value());
  add(&s->compute_input, success, 0);
  add(&s->compute_infer, success, counters.success_infer_ns.value());
  add(&s->compute_output, success, 0);
  add(&s->cancelled, cancelled, counters.cancelled_ns.value());
  add(&s->failed_runs, counters.failed_runs.value(), counters.failed_runs_ns.value());
  AddBatches(counters.batches, &s->batches);
  s->inference_count += counters.inferences.value();
  s->execution_count += counters.executions.value();
  s->last_inference_ns = std::max(s->last_inference_ns, counters.last_ns.value());
}

// The loop is the only one that changes the map, so it looks without the lock.
ModelCounters* ModelBook::Of(uint64_t id, std::string_view model, std::string_view version) {
  if (const auto it = models_.find(id); it != models_.end()) return it->second.get();
  auto counters = std::make_shared<ModelCounters>(id, std::string(model), std::string(version));
  MutexLock lock(mutex_);
  return models_.emplace(id, std::move(counters)).first->second.get();
}

void ModelBook::Prune(const std::function<bool(const ModelCounters&)>& registered) {
  MutexLock lock(mutex_);
  std::erase_if(models_, [&](const auto& entry) {
    return entry.second->in_flight.value() == 0 && !registered(*entry.second);
  });
}

void ModelBook::CountUnknown(Protocol protocol, StatusCode code) {
  unknown_[static_cast<size_t>(protocol)][CodeIndex(code)].Add();
}

std::vector<std::shared_ptr<const ModelCounters>> ModelBook::Read() const {
  std::vector<std::shared_ptr<const ModelCounters>> out;
  MutexLock lock(mutex_);
  out.reserve(models_.size());
  for (const auto& [id, counters] : models_) out.push_back(counters);
  return out;
}

uint64_t ModelBook::Unknown(Protocol protocol, size_t code) const {
  return unknown_[static_cast<size_t>(protocol)][code].value();
}

}  // namespace mlos::metrics
