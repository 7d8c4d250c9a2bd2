// SPDX-License-Identifier: Apache-2.0
//
// The control path: takes an operation from any front end to the control loop,
// applies it to catalog and lifecycle, answers with the object it left.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "catalog/catalog.h"
#include "control/operation.h"
#include "lifecycle/manager.h"
#include "lifecycle/repositories.h"
#include "metrics/model_counters.h"
#include "trace/tracer.h"

namespace mlos::control {

class CoreControl : public Control {
 public:
  CoreControl(EventLoop& loop, catalog::Catalog& catalog, lifecycle::Manager& manager,
              std::string version);

  // Where plugins' output is kept; outlives this.
  void set_plugin_logs(backend::PluginLogs* logs) { plugin_logs_ = logs; }

  // Who sees to models of repositories; outlives this.  Null: there is no repository.
  void set_repositories(lifecycle::Repositories* repositories) { repositories_ = repositories; }
  // Where requests are counted; outlives this.
  void set_model_book(const metrics::ModelBook* book) { book_ = book; }
  // What records requests; outlives this.
  void set_tracer(trace::Tracer* tracer) { tracer_ = tracer; }

  void Apply(Operation operation, std::function<void(Outcome)> done) override;

 private:
  using Done = std::function<void(Outcome)>;
  void Run(Operation& op, const Done& done);
  Outcome Read(const Operation& op);
  void RegisterPlugin(const Operation& op, const Done& done);
  Outcome RegisterModel(const Operation& op);
  Outcome Remove(const Operation& op);
  Outcome ChangeGroup(const Operation& op);
  void ChangeState(const Operation& op, const Done& done);
  void LoadHeld(const Operation& op, const Done& done);
  void ChangeVersions(const Operation& op, const Done& done);
  void LoadVersion(const std::string& name, const std::string& version,
                   const lifecycle::Manager::Done& done);
  void Swap(const Operation& op, const Done& done);
  void GoOn(const Operation& op, const Done& done,
            const std::function<void(const lifecycle::Manager::Done&)>& start,
            const std::function<Outcome()>& describe);
  // Counted for as long as somebody holds what `done` becomes: until the change has ended,
  // though it may be answered before.  False: too many of the object are under way.
  bool Admit(const Operation& op, lifecycle::Manager::Done* done);
  Outcome Describe(const Operation& op);
  Outcome ReadPluginLog(const Operation& op);
  Outcome ChangeTrace(const Operation& op);

  EventLoop& loop_;
  catalog::Catalog& catalog_;
  lifecycle::Manager& manager_;
  backend::PluginLogs* plugin_logs_ = nullptr;
  lifecycle::Repositories* repositories_ = nullptr;
  const metrics::ModelBook* book_ = nullptr;
  trace::Tracer* tracer_ = nullptr;
  // Changes that have not ended, by their object; with those that outlive this.
  const std::shared_ptr<std::map<std::string, size_t>> under_way_ =
      std::make_shared<std::map<std::string, size_t>>();
  const std::string version_;
  const uint64_t started_ns_;
};

}  // namespace mlos::control
