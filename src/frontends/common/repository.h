// SPDX-License-Identifier: Apache-2.0
//
// The model repository extension: what there is to serve, and loading and
// unloading it by name, for any protocol.
//
// Threads: a front end's loop.  A RepositoryCall is one per request that may
// be under way and is reused; loop and control path outlive it.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/status.h"
#include "engine/route.h"
#include "frontends/common/control_call.h"

namespace mlos::repository {
struct Given;
}

namespace mlos::frontend {

struct IndexEntry {
  std::string name;
  std::string version;     // decimal; empty: none is known
  std::string_view state;  // READY, LOADING, UNLOADING, UNAVAILABLE
  std::string reason;      // empty: none
};

// One entry for each version of each model; with `ready_only` of those that serve.
std::vector<IndexEntry> RepositoryIndex(const engine::RoutingTable& table, bool ready_only);

// OK where no repository is named: all models are in one, which has no name.
Status CheckRepositoryName(std::string_view name);

// What the parameters of a load and of an unload may be called.
// The file that a load's parameter brings along (1/model.onnx of
// "file:1/model.onnx"); nullopt: it is the configuration.  INVALID_ARGUMENT: it
// is neither.
StatusOr<std::optional<std::string_view>> LoadParameter(std::string_view name);
// Whose value is a boolean.
Status CheckUnloadParameter(std::string_view name);

class RepositoryCall {
 public:
  using Done = std::function<void(const Status&)>;

  RepositoryCall(EventLoop& loop, control::Control& control)
      : call_(loop, control), patience_(loop.io()) {}

  // Every version of the model that its version policy admits; `done` comes
  // when all of them serve, or with what kept one from it.  `given`: with a
  // configuration and files of its own (repository/given.h, checked); null: as it is.
  void Load(std::string_view model, std::shared_ptr<const repository::Given> given, Done done);
  void Load(std::string_view model, Done done) { Load(model, nullptr, std::move(done)); }
  // Every version of it.  `done` comes with what is wrong, or when they are gone,
  // or sooner where requests that are under way still hold them: they go when
  // those are answered.
  void Unload(std::string_view model, Done done);
  // Nobody waits any more; what was begun goes on.
  void Forget();

 private:
  void BePatient();
  void Finish(const Status& status);

  ControlCall call_;
  boost::asio::steady_timer patience_;
  const std::shared_ptr<uint64_t> turn_ = std::make_shared<uint64_t>(0);
  Done done_;
};

}  // namespace mlos::frontend
