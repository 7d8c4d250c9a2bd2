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

#include "tensor/model_info.h"

namespace mlos::engine {

class HostLane;  // engine/host_lane.h: an event loop's channel to one plugin host

enum class ModelState { kRegistered, kLoading, kReady, kDraining, kUnloaded, kFailed };
std::string_view ModelStateName(ModelState state);  // "registered", …

// One version of one model.
struct ModelRoute {
  std::string name;
  std::string version;  // decimal
  uint64_t version_number = 1;
  ModelState state = ModelState::kRegistered;
  std::string reason;      // of a failure, for people
  bool on_demand = false;  // the first inference loads it
  std::string plugin;
  std::string plugin_version;
  uint64_t id = 0;  // of the registration: unique over the life of the core

  // Where state is kReady:
  std::shared_ptr<const ModelInfo> info;
  uint64_t host = 0;    // number of the plugin host; each loop has a lane to it
  uint32_t handle = 0;  // the model's number in that host
};

using RoutePin = std::shared_ptr<const ModelRoute>;

struct ModelVersions {
  std::vector<RoutePin> versions;  // ascending by number
};

struct RoutingTable {
  std::map<std::string, ModelVersions, std::less<>> models;
  bool ready = false;  // everything that should be loaded is

  // Empty version: the highest that is ready, else the highest that can be
  // loaded on demand, else the highest.  nullptr: no such model or version.
  RoutePin Find(std::string_view name, std::string_view version) const;
};

}  // namespace mlos::engine
