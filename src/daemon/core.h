// SPDX-License-Identifier: Apache-2.0
//
// The wiring of mlosd: which parts there are, which thread owns what.
//
//   control loop  (the main thread)  catalog, lifecycle, plugin hosts, signals
//   front loop    (a thread)         HTTP, the engine and its channels
//
// The control loop is the main thread because plugin hosts die with the thread
// that started them.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <thread>

#include "base/event_loop.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "control/core_control.h"
#include "daemon/options.h"
#include "engine/channel_engine.h"
#include "frontends/http/server.h"
#include "lifecycle/manager.h"
#include "state/state_store.h"

namespace mlos::daemon {

class Core {
 public:
  Core(const Options& options, std::unique_ptr<state::StateStore> store);
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
  void WaitForSignal();
  void Drain();
  void StopHosts();

  const Options options_;
  // The front loop goes last: what waits on the control loop may hold lanes,
  // whose descriptors belong to the front loop.
  EventLoop front_loop_;
  EventLoop control_loop_;
  const std::unique_ptr<state::StateStore> store_;
  catalog::Catalog catalog_;
  lifecycle::Manager manager_;
  control::CoreControl control_;
  std::unique_ptr<engine::ChannelEngine> engine_;
  std::unique_ptr<http::HttpServer> http_;
  std::vector<std::string> http_in_use_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer drain_timer_;
  bool draining_ = false;
  bool hosts_stopping_ = false;
  std::thread front_thread_;
};

}  // namespace mlos::daemon
