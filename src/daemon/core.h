// SPDX-License-Identifier: Apache-2.0
//
// The wiring of mlosd: which parts there are, which thread owns what.
//
//   control loop  (the main thread)  catalog, lifecycle, plugin hosts, signals,
//                                    the service manager's watchdog
//   front loop    (a thread)         HTTP, gRPC, the local socket, the engine and
//                                    its channels
//   metrics loop  (a thread)         the metrics listener (observatory.h)
//
// The control loop is the main thread because plugin hosts die with the thread
// that started them.
//
// Stopping: not ready (drain-grace), no new requests (drain-timeout), hosts
// stopped, loops stopped.  A second signal goes to the hosts' end at once.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/event_loop.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "control/core_control.h"
#include "daemon/control_meter.h"
#include "daemon/notifier.h"
#include "daemon/observatory.h"
#include "engine/channel_engine.h"
#include "frontends/common/client_regions.h"
#include "frontends/grpc/server.h"
#include "frontends/http/server.h"
#include "frontends/ipc/server.h"
#include "lifecycle/manager.h"
#include "lifecycle/repositories.h"
#include "options/read.h"
#include "state/state_store.h"
#include "trace/tracer.h"

namespace mlos::daemon {

class Core {
 public:
  // `inputs`: what the settings were read from, and are again on SIGHUP.
  Core(options::Inputs inputs, options::Settings settings,
       std::unique_ptr<state::StateStore> store);
  ~Core();

  // Restores what an earlier run kept, registers what --plugin-dir names,
  // listens, begins to load what should be loaded, writes the addresses file.
  Status Start();
  // Serves until a signal to stop; returns the exit status.
  int Run();

 private:
  void RegisterPluginDir(const std::string& directory);
  void SweepPackages();
  Status WriteAddresses() const;
  Status ListenHttp();
  Status ListenGrpc();
  Status ListenIpc();
  std::string Serving() const;
  void WaitForSignal();
  void OnSignal(int number);
  void OnStopSignal(int number);
  void KeepWatchdogQuiet();
  void Drain();
  enum class End { kWhenDone, kAtOnce };
  void StopHosts(End end);

  const options::Inputs inputs_;
  options::Settings settings_;
  Notifier notifier_;
  // The front loop goes last: what waits on the control loop may hold lanes,
  // whose descriptors belong to the front loop.
  EventLoop front_loop_;
  EventLoop control_loop_;
  const std::unique_ptr<state::StateStore> store_;
  catalog::Catalog catalog_;
  backend::HostWatch host_watch_;
  lifecycle::Manager manager_;
  lifecycle::Repositories repositories_;
  trace::Tracer tracer_;
  control::CoreControl control_;
  ControlMeter control_meter_;
  std::unique_ptr<engine::ChannelEngine> engine_;
  frontend::RegionTable client_regions_;  // the front loop's
  std::unique_ptr<http::HttpServer> http_;
  std::vector<std::string> http_in_use_;
  std::unique_ptr<grpc::GrpcServer> grpc_;
  std::vector<std::string> grpc_in_use_;
  std::unique_ptr<ipc::IpcServer> ipc_;
  std::string ipc_in_use_;    // the path; empty: none
  int draining_servers_ = 0;  // the front loop's
  std::unique_ptr<Observatory> observatory_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer drain_timer_;
  boost::asio::steady_timer watchdog_timer_;
  uint64_t stop_began_ns_ = 0;  // 0: not told to stop
  bool hosts_stopping_ = false;
  std::thread front_thread_;
};

}  // namespace mlos::daemon
