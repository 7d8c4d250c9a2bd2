// SPDX-License-Identifier: Apache-2.0
//
// What all inferences of one gRPC server share.  One per event loop.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "frontends/common/classification.h"
#include "frontends/common/client_regions.h"
#include "frontends/common/infer_plan.h"
#include "frontends/grpc/options.h"
#include "trace/tracer.h"

namespace mlos::grpc {

struct InferContext {
  engine::Engine& engine;
  const GrpcOptions& options;
  frontend::RegionTable& regions;
  trace::Tracer* tracer;  // may be null

  frontend::PlanBuilder builder = {};
  frontend::Classifier classifier = {};
  std::vector<tensor::TensorDesc> descs = {};  // while one is planned
  // The server goes: streams without requests under way end.
  bool draining = false;
  // Requests that hold memory of a channel while their contents arrive, and how
  // much of it.
  uint32_t open_fills = 0;
  uint64_t open_fill_bytes = 0;
};

}  // namespace mlos::grpc
