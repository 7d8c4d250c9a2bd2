// SPDX-License-Identifier: Apache-2.0
//
// The local front end: the protocol of docs/ipc.md on a Unix socket.
//
// Threads: built before the loop runs or on its thread; everything else on the
// loop's thread.  Lifetime: what Parts names outlives the server.  Destroying it
// closes all connections and cancels what they wait for.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "base/status.h"
#include "control/operation.h"
#include "engine/channel_opener.h"
#include "engine/engine.h"
#include "frontends/ipc/options.h"
#include "metrics/ipc_counters.h"
#include "trace/tracer.h"

namespace mlos::ipc {

// What is served, and by whom.
struct Parts {
  EventLoop& loop;
  engine::Engine& engine;
  control::Control& control;
  trace::Tracer* tracer = nullptr;            // may be null
  bool client_regions = false;                // whether other protocols offer them
  engine::ChannelOpener* channels = nullptr;  // null: there are no direct channels
};

class IpcServer {
 public:
  explicit IpcServer(const Parts& parts, IpcOptions options = {});
  ~IpcServer();
  IpcServer(const IpcServer&) = delete;
  IpcServer& operator=(const IpcServer&) = delete;

  // Makes the path's last directory, for this user alone, where there is none.
  // Returns the path.
  StatusOr<std::string> Listen(const std::string& path);
  // Not ready any more; all is answered.
  void Leave();
  // New calls are answered UNAVAILABLE, but for those that ask how the server
  // is; `done` when those that run are answered.
  void Drain(std::function<void()> done);

  size_t connections() const;
  uint64_t buffered_bytes() const;
  const metrics::IpcCounters& counters() const;  // any thread

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlos::ipc
