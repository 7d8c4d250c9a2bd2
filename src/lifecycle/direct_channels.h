// SPDX-License-Identifier: Apache-2.0
//
// The direct channels that there are: opened for a route, and ended when their model
// leaves its place, their host is given up, or their application goes.  A channel
// holds its route, so that the model stays where it is until the host has let go.
//
// Threads: the control loop, but for OpenChannel.  Lifetime: outlives the callbacks of
// hosts and ports; the loop outlives it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "backend/direct_port.h"
#include "backend/plugin_host.h"
#include "base/event_loop.h"
#include "engine/channel_opener.h"

namespace mlos::lifecycle {

class DirectChannels : public engine::ChannelOpener {
 public:
  // A model's place: number of the host, handle in it.
  using Place = std::pair<uint64_t, uint32_t>;
  // Null: there is no such host any more.
  using FindHost = std::function<std::shared_ptr<backend::PluginHost>(uint64_t number)>;
  // What was answered to a route's requests without the engine.
  using OnServed = std::function<void(const engine::RoutePin&, const hostlink::Served&)>;

  DirectChannels(EventLoop& control, size_t most, FindHost find_host, OnServed on_served)
      : control_(control),
        most_(most),
        find_host_(std::move(find_host)),
        on_served_(std::move(on_served)) {}

  void OpenChannel(Wish wish, Opened opened) override;

  // The model leaves: nothing more is taken from its channels; when what was taken is
  // answered, the applications are told to ask for it anew.  Until Left no channel is
  // opened there.
  void Leave(Place place);
  void Left(Place place) { leaving_.erase(place); }
  // The daemon ends.
  void LeaveAll();
  size_t size() const { return channels_.size(); }

 private:
  struct Channel {
    engine::RoutePin route;
    std::shared_ptr<backend::DirectPort> port;
    std::weak_ptr<backend::PluginHost> host;
    uint32_t number = 0;  // in that host
    bool ending = false;
  };

  StatusOr<OwnedFd> Open(const Wish& wish);
  // Has the host let go of it, then tells the application, where there is something to
  // tell, and forgets it.
  void End(uint64_t id, const hostlink::LaneEnd& end);

  EventLoop& control_;
  const size_t most_;
  const FindHost find_host_;
  const OnServed on_served_;
  std::map<uint64_t, Channel> channels_;
  std::set<Place> leaving_;
  uint64_t next_id_ = 1;
  bool closed_ = false;
};

}  // namespace mlos::lifecycle
