// SPDX-License-Identifier: Apache-2.0
//
// The plugin host process: obeys the core over its control link.
//
// Threads: Run() is the main thread and does nothing that takes long: it
// reads messages, passes memory on, sends heartbeats.  Calls into the plugin
// that the interface tags [control] run in order on a thread of their own, so
// that a slow load delays no running request.  Workers belong to the
// Scheduler.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "hostlink/link.h"
#include "hostlink/messages.h"
#include "plugin_host/plugin.h"
#include "plugin_host/scheduler.h"

namespace mlos::plugin_host {

class Host {
 public:
  explicit Host(OwnedFd control_socket);
  ~Host();

  // Returns the process's exit status: 0 after kStop, 1 when the core is gone
  // or broke the protocol.
  int Run();

 private:
  void Beat();
  Status Handle(hostlink::Frame frame);
  Status OnStart(const hostlink::Frame& frame);
  Status OnLoadModel(hostlink::Frame frame);
  void Reply(uint64_t id, const Status& status, boost::json::object body = {});
  void Send(hostlink::Frame frame);
  void Queue(std::function<void()> task);
  void ControlLoop();
  void EndControlThread();

  hostlink::Link link_;
  Mutex send_mutex_;
  std::unique_ptr<Scheduler> scheduler_;
  // Touched by the control thread only, once it runs.
  std::unique_ptr<Plugin> plugin_;

  Mutex mutex_;
  CondVar queued_;
  std::deque<std::function<void()>> tasks_ MLOS_GUARDED_BY(mutex_);
  bool ending_ MLOS_GUARDED_BY(mutex_) = false;
  std::thread control_;
  bool stopped_ = false;
};

}  // namespace mlos::plugin_host
