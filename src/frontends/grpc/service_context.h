// SPDX-License-Identifier: Apache-2.0
//
// What the methods of one gRPC server share.  Made by Services, which outlives
// all calls; the event loop's thread.
#pragma once

#include "base/event_loop.h"
#include "control/operation.h"
#include "engine/engine.h"
#include "frontends/common/client_regions.h"
#include "frontends/grpc/infer_context.h"
#include "frontends/grpc/options.h"

namespace mlos::grpc {

struct ServiceContext {
  EventLoop& loop;
  control::Control& control;
  const GrpcOptions& options;
  InferContext infer;
  bool leaving = false;  // not ready any more

  engine::Engine& engine() const { return infer.engine; }
  frontend::RegionTable& regions() const { return infer.regions; }
};

}  // namespace mlos::grpc
