// SPDX-License-Identifier: Apache-2.0
//
// The statistics extension: what was counted of the models that serve, for any
// protocol to print.  Functions without state, on a front end's loop.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/route.h"
#include "metrics/model_counters.h"

namespace mlos::frontend {

struct ModelStatistics {
  std::string name;
  std::string version;               // decimal
  uint64_t last_inference_ms = 0;    // since the epoch; 0: none yet
  metrics::InferStatistics counted;  // the sums of all books
  uint64_t memory_bytes = 0;         // that the model takes; 0: not known
};

// Of every ready version of `model`; with `version` (a number or a label) of
// that one; with neither of all models.  INVALID_ARGUMENT, as the protocol's
// servers have it: no version of the model is ready, or this one is not.
using Books = std::span<const metrics::ModelBook* const>;
StatusOr<std::vector<ModelStatistics>> CollectStatistics(const engine::RoutingTable& table,
                                                         Books books, std::string_view model,
                                                         std::string_view version);

// What the protocol shows beside the counts.  Every request has one response,
// which is number 0; none before the first.
struct ResponseStatistics {
  using Duration = metrics::InferStatistics::Duration;
  Duration compute_infer, compute_output, success, fail, empty_response, cancel;
};
std::optional<ResponseStatistics> ResponsesOf(const metrics::InferStatistics& counted);

// Inputs and outputs are where they are used, and cost nothing.
struct BatchStatistics {
  uint64_t size = 0;
  metrics::InferStatistics::Duration compute_input, compute_infer, compute_output;
};
BatchStatistics RowOf(const metrics::InferStatistics::Batch& counted);

}  // namespace mlos::frontend
