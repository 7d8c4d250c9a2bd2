// SPDX-License-Identifier: Apache-2.0
//
// What all sessions of an Api share.  Made by the Api, which outlives its
// sessions' requests; the event loop's thread.
#pragma once

#include "base/event_loop.h"
#include "base/log.h"
#include "control/operation.h"
#include "engine/engine.h"
#include "frontends/common/call_steps.h"
#include "frontends/common/classification.h"
#include "frontends/common/client_regions.h"
#include "frontends/common/request_context.h"
#include "frontends/http/infer_request.h"
#include "frontends/http/options.h"
#include "metrics/http_counters.h"
#include "trace/tracer.h"

namespace mlos::http {

struct ApiContext {
  EventLoop& loop;
  engine::Engine& engine;
  control::Control& control;
  const HttpOptions& options;
  metrics::HttpCounters& counters;
  frontend::RegionTable& regions;
  trace::Tracer* tracer;  // may be null
  InferDecoder decoder =
      InferDecoder({.max_tensors = options.max_tensors, .max_json_depth = options.max_json_depth});
  frontend::Classifier classifier = {};
  frontend::CallContext calls = {.engine = engine,
                                 .classifier = classifier,
                                 .tracer = tracer,
                                 .protocol = metrics::Protocol::kHttp,
                                 .names = frontend::kHttpTrace,
                                 .default_deadline_ns = options.default_deadline_ns,
                                 .max_deadline_ns = options.max_deadline_ns};
  frontend::IdSource ids = {};
  LogLimit lines;         // about requests
  bool leaving = false;   // not ready any more
  bool draining = false;  // and nothing new is begun
};

}  // namespace mlos::http
