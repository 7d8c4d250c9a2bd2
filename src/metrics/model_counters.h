// SPDX-License-Identifier: Apache-2.0
//
// What is counted for one model version on one event loop, and the book of
// them that each loop keeps.
//
// Threads: the loop writes; ModelBook::Read may be called by any thread.
// Lifetime: a model's counters stay as long as it is registered, loaded or
// not, and afterwards until its last request has ended.  A model registered
// again under the same name begins from zero.  What the book keeps is bounded
// by what is registered, because its owner prunes it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "metrics/instruments.h"

namespace mlos::metrics {

enum class Protocol : uint8_t { kHttp, kGrpc, kIpc };
constexpr size_t kProtocols = 3;
std::string_view ProtocolName(Protocol protocol);  // "http", …
constexpr size_t kCodes = 17;                      // canonical codes

// One request that has its answer.  Times are CLOCK_MONOTONIC; the host's are
// not believed further than they are possible.
struct Answered {
  Protocol protocol = Protocol::kHttp;
  StatusCode code = StatusCode::kOk;
  uint64_t arrived_ns = 0;
  uint64_t submitted_ns = 0;  // 0: never was
  uint64_t started_ns = 0;    // in the host; 0: did not run
  uint64_t finished_ns = 0;
  uint64_t answered_ns = 0;
  uint64_t batch = 1;  // inferences in it
};

// Requests by the size of their batch.  Keeps a row for each of the first sizes
// that come; what comes with a further one is in the model's sums only.
class BatchCounters {
 public:
  struct Row {
    std::atomic<uint64_t> size{0};  // 0: free
    Counter count;
    Counter infer_ns;
  };
  static constexpr size_t kRows = 64;

  void Count(uint64_t size, uint64_t infer_ns);  // the loop
  const std::array<Row, kRows>& rows() const { return rows_; }

 private:
  std::array<Row, kRows> rows_;
};

// Requests that were answered without the loop, all of one code.
struct AnsweredApart {
  StatusCode code = StatusCode::kOk;
  uint64_t count = 0;
  uint64_t executions = 0;  // of those that reached the model
  uint64_t inferences = 0;
  uint64_t queue_ns = 0;  // all together
  uint64_t run_ns = 0;
  uint64_t now_ns = 0;
};

class ModelCounters {
 public:
  ModelCounters(uint64_t id, std::string model, std::string version)
      : id_(id), model_(std::move(model)), version_(std::move(version)) {}

  uint64_t id() const { return id_; }
  const std::string& model() const { return model_; }
  const std::string& version() const { return version_; }

  // ---- the loop
  void Begin() { in_flight.Add(1); }
  void End() { in_flight.Add(-1); }
  void Count(const Answered& answered);
  // Of a local program's own channel.  The histograms get them at their mean.
  void Count(const AnsweredApart& answered);

  // ---- readers
  Gauge in_flight;
  Counter requests[kProtocols][kCodes];
  Histogram total[kProtocols];
  Histogram queue;
  Histogram run;
  // What the Open Inference Protocol reports of a model.  Inputs are used and
  // outputs written where they lie in the channel, so that nothing is left for
  // its compute_input and compute_output: both are part of the run.
  Counter success_ns;
  Counter fail_ns;
  Counter success_queue_ns;
  Counter success_infer_ns;
  Counter cancelled_ns;    // of requests that their clients left
  Counter failed_runs;     // that ran and gave an error
  Counter failed_runs_ns;  // how long they ran
  BatchCounters batches;
  Counter inferences;
  Counter executions;
  Counter blamed;       // deaths of its host that one of its requests is held to have caused
  Counter quarantined;  // requests refused because hosts died of their like
  Gauge last_ns;        // CLOCK_MONOTONIC of the last answer; 0: none

 private:
  const uint64_t id_;
  const std::string model_;
  const std::string version_;
};

// The members of the protocol's statistics, summed over the loops.
struct InferStatistics {
  struct Duration {
    uint64_t count = 0;
    uint64_t ns = 0;
  };
  Duration success;
  Duration fail;
  Duration queue;
  Duration compute_input;
  Duration compute_infer;
  Duration compute_output;
  Duration cancelled;    // of the failures, those that their clients left
  Duration failed_runs;  // of the failures, those that ran: time in the model
  struct Batch {
    uint64_t size = 0;
    Duration compute_infer;
  };
  std::vector<Batch> batches;  // ascending by size
  uint64_t inference_count = 0;
  uint64_t execution_count = 0;
  uint64_t last_inference_ns = 0;  // CLOCK_MONOTONIC; 0: none
};
void AddTo(const ModelCounters& counters, InferStatistics* statistics);

class ModelBook {
 public:
  // ---- the loop
  // The counters of a registration, made when it is first asked for: the only
  // time that memory is taken.  They stay until a Prune after the last End.
  ModelCounters* Of(uint64_t id, std::string_view model, std::string_view version);
  // Forgets those that `registered` denies and no request holds.
  void Prune(const std::function<bool(const ModelCounters&)>& registered);
  size_t size() const { return models_.size(); }
  // A request that named no model there is.
  void CountUnknown(Protocol protocol, StatusCode code);

  // ---- any thread
  std::vector<std::shared_ptr<const ModelCounters>> Read() const;
  uint64_t Unknown(Protocol protocol, size_t code) const;

 private:
  // Changed by the loop under the lock; read by the loop without it.
  mutable Mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<ModelCounters>> models_;
  Counter unknown_[kProtocols][kCodes];
};

}  // namespace mlos::metrics
