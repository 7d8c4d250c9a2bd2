// SPDX-License-Identifier: Apache-2.0
//
// The Engine over channels: finds the model in the routing snapshot, puts the
// request into the lane to its host, takes the answer out, and answers what is
// late itself.
//
// Threads: belongs to one event loop, but for OpenLane, CloseLane and Publish,
// which the control loop calls.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/event_loop.h"
#include "base/mutex.h"
#include "engine/engine.h"
#include "engine/host_lane.h"
#include "engine/quarantine.h"

namespace mlos::engine {

class ChannelEngine : public Engine, public Poller, private LaneObserver {
 public:
  // Makes sure that a model is loaded; calls back on any thread, when it is
  // and the routing snapshot that says so is published, or with the reason.
  using Loader =
      std::function<void(std::string name, std::string version, std::function<void(Status)> done)>;

  // For `quarantine_ns` requests are refused that hosts died of.
  ChannelEngine(EventLoop& loop, EventLoop& control, channel::Options channel_options,
                Loader loader, uint64_t quarantine_ns = Quarantine::kRefuseNanos);
  ~ChannelEngine() override;

  // ---- control loop
  StatusOr<std::shared_ptr<HostLane>> OpenLane(uint64_t host);
  void CloseLane(uint64_t host);
  void Publish(std::shared_ptr<const RoutingTable> table);
  // What a local program's own channel to the route's model was answered.
  void CountServed(const RoutePin& route, const hostlink::Served& served);
  // How full the lanes are, by host; `done` is called on the engine's loop.
  // Any thread.
  using LaneUsage = std::vector<std::pair<uint64_t, channel::Usage>>;
  void Measure(std::function<void(LaneUsage)> done);
  const metrics::ModelBook& counters() const { return book_; }  // any thread

  // ---- Engine
  std::shared_ptr<const RoutingTable> routes() const override { return table_; }
  metrics::ModelBook* book() override { return &book_; }
  Status Admits(std::string_view model, std::string_view version) const override;
  bool Resolve(Call& call, std::string_view model, std::string_view version) override;
  bool Allocate(Call& call, tensor::RequestPlan* plan) override;
  bool Submit(Call& call) override;
  void Finish(Call& call) override;

  // ---- Poller
  size_t Work() override;
  bool HasWork() const override;
  bool Expecting() const override { return running_ > 0; }
  bool PrepareSleep() override;
  void FinishSleep() override;

 private:
  // Requests that wait for one registration of a model to be loaded.  The
  // loader is asked once for all of them; it may outlive them.
  struct Resolving {
    Call* call = nullptr;
    std::string model;
    std::string version;
  };
  using Resolvings = std::deque<Resolving>;

  void OnCompletion(HostLane& lane, const channel::Completion& completion) override;
  void OnSpace(HostLane& lane) override;
  void OnConsumerLost(HostLane& lane) override;
  void OnStrike(HostLane& lane, uint32_t entry) override;
  bool Pin(Call& call, const RoutePin& route);
  void Count(Call& call, const ModelRoute& route);
  static void Uncount(Call& call);
  void PruneBook();
  bool TryAllocate(Call& call);
  bool WaitForLoad(Call& call, const ModelRoute& route, std::string_view model,
                   std::string_view version);
  void OnLoaded(uint64_t id, const Status& status);
  void StopWaiting(Call& call);
  void DecodeAnswer(HostLane& lane, Call& call, const channel::Completion& completion);
  Status CheckOutputs(HostLane& lane, Call& call);
  void ArmSweep();
  void Sweep();
  void Expire(Call& call);

  EventLoop& loop_;
  EventLoop& control_;
  const channel::Options channel_options_;
  const Loader loader_;
  std::shared_ptr<const RoutingTable> table_;
  Mutex published_mutex_;
  std::shared_ptr<const RoutingTable> published_ MLOS_GUARDED_BY(published_mutex_);  // to come
  metrics::ModelBook book_;
  size_t prune_at_;  // so many models in the book: look for those that are gone
  std::map<uint64_t, std::shared_ptr<HostLane>> lanes_;
  std::unordered_map<uint64_t, Resolvings> resolving_;  // by registration
  Resolvings loaded_;                                   // being told that they may go on
  // Being told that there is memory, or that they are late; null: ended meanwhile.
  std::vector<Call*> retried_;
  std::vector<Call*> late_;
  Quarantine quarantine_;
  uint32_t running_ = 0;  // submitted and not answered
  tensor::ResponseView view_;
  boost::asio::steady_timer sweep_;
  bool sweep_armed_ = false;
};

}  // namespace mlos::engine
