// SPDX-License-Identifier: Apache-2.0
//
// What the connections of one server share.  Made by the server, which outlives
// them; the event loop's thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/event_loop.h"
#include "control/operation.h"
#include "frontends/common/call_planner.h"
#include "frontends/common/call_steps.h"
#include "frontends/common/classification.h"
#include "frontends/ipc/options.h"
#include "frontends/ipc/server.h"
#include "metrics/ipc_counters.h"
#include "tensor/message.h"

namespace mlos::ipc {

inline constexpr frontend::TraceNames kIpcTrace = {"IPC_RECV_START", "IPC_RECV_END",
                                                   "IPC_SEND_START", "IPC_SEND_END"};

struct Context {
  Context(const Parts& parts, const IpcOptions& given)
      : loop(parts.loop),
        engine(parts.engine),
        control(parts.control),
        options(given),
        client_regions(parts.client_regions),
        channels(parts.channels),
        calls{.engine = parts.engine,
              .classifier = classifier,
              .tracer = parts.tracer,
              .protocol = metrics::Protocol::kIpc,
              .names = kIpcTrace,
              .default_deadline_ns = given.default_deadline_ns,
              .max_deadline_ns = given.max_deadline_ns} {}

  // Accounts for large messages; false: there is too much of them.
  bool Reserve(uint64_t bytes) {
    if (bytes > options.max_buffered_bytes - buffered) return false;
    buffered += bytes;
    return true;
  }
  void Unreserve(uint64_t bytes) { buffered -= bytes; }

  EventLoop& loop;
  engine::Engine& engine;
  control::Control& control;
  const IpcOptions& options;
  const bool client_regions;
  engine::ChannelOpener* const channels;  // may be null
  frontend::Classifier classifier;
  frontend::CallPlanner planner;
  std::vector<tensor::TensorDesc> descs;  // of one planning
  const frontend::CallContext calls;
  metrics::IpcCounters counters;
  uint64_t buffered = 0;
  bool leaving = false;   // not ready any more
  bool draining = false;  // nothing new begins
};

}  // namespace mlos::ipc
