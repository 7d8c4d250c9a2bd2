// SPDX-License-Identifier: Apache-2.0
//
// What all inferences of one gRPC server share.  One per event loop.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "frontends/common/call_planner.h"
#include "frontends/common/call_steps.h"
#include "frontends/common/classification.h"
#include "frontends/common/client_regions.h"
#include "frontends/grpc/open_fills.h"
#include "frontends/grpc/options.h"
#include "trace/tracer.h"

namespace mlos::grpc {

class CallLog;

struct InferContext {
  engine::Engine& engine;
  const GrpcOptions& options;
  frontend::RegionTable& regions;
  trace::Tracer* tracer;   // may be null
  CallLog* log = nullptr;  // the same

  frontend::CallPlanner planner = frontend::CallPlanner(&regions, options.calls.max_message_bytes);
  frontend::Classifier classifier = {};
  frontend::CallContext calls = {.engine = engine,
                                 .classifier = classifier,
                                 .tracer = tracer,
                                 .protocol = metrics::Protocol::kGrpc,
                                 .names = frontend::kGrpcTrace,
                                 .default_deadline_ns = options.default_deadline_ns,
                                 .max_deadline_ns = options.max_deadline_ns};
  std::vector<tensor::TensorDesc> descs = {};  // while one is planned
  // The server goes: streams without requests under way end.
  bool draining = false;
  OpenFills fills = {};
};

}  // namespace mlos::grpc
