// SPDX-License-Identifier: Apache-2.0
//
// The routing snapshot: which models there are and where they run.  Built by
// the control loop, immutable once published, replaced whole.  A reader keeps
// what it uses alive by holding the pointer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "tensor/model_info.h"
#include "tensor/model_settings.h"

namespace mlos::engine {

class HostLane;  // engine/host_lane.h: an event loop's channel to one plugin host

enum class ModelState { kRegistered, kLoading, kReady, kDraining, kUnloaded, kFailed };
std::string_view ModelStateName(ModelState state);  // "registered", …

// Held by every route to a model in a plugin host: when the last one is gone,
// nobody can send that model another request.  `gone` then runs on `loop`.
class Lease {
 public:
  Lease(EventLoop& loop, std::function<void()> gone) : loop_(loop), gone_(std::move(gone)) {}
  ~Lease() { loop_.Post(std::move(gone_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  EventLoop& loop_;
  std::function<void()> gone_;
};

// One version of one model.
struct ModelRoute {
  std::string name;
  std::string version;  // decimal
  uint64_t version_number = 1;
  ModelState state = ModelState::kRegistered;
  std::string reason;      // of a failure, for people
  bool on_demand = false;  // the first inference loads it
  bool load_helps = true;  // whoever finds it unloaded or failed may load it
  std::string plugin;
  std::string plugin_version;
  uint64_t id = 0;  // of the registration: unique over the life of the core

  // Where state is kReady:
  std::shared_ptr<const ModelInfo> info;
  std::shared_ptr<const ModelSettings> settings;  // null only in tests
  uint64_t host = 0;    // number of the plugin host; each loop has a lane to it
  uint32_t handle = 0;  // the model's number in that host
  std::shared_ptr<const Lease> lease;
};

using RoutePin = std::shared_ptr<const ModelRoute>;

struct ModelVersions {
  std::vector<RoutePin> versions;  // ascending by number
  std::map<std::string, uint64_t, std::less<>> labels;
};

struct RoutingTable {
  std::map<std::string, std::shared_ptr<const ModelVersions>, std::less<>> models;
  // Models that there are and that cannot be had, by their names, which others have: why.
  std::map<std::string, std::string, std::less<>> shadowed;
  bool ready = false;     // everything that should be loaded is
  std::string not_ready;  // what is not, for people; not all of many

  // Adds one, in ascending order; for tables that are made from nothing.
  void Add(RoutePin route);

  // `version`: a number or a label.  Empty: the highest that is ready, else the highest that can be
  // loaded on demand, else the highest.  nullptr: no such model or version.
  RoutePin Find(std::string_view name, std::string_view version) const;
};

}  // namespace mlos::engine
