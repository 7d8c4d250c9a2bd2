// SPDX-License-Identifier: Apache-2.0
//
// The control actions, in one table: what they are called on HTTP and what
// they need.  Routers, the listing of routes and the manual come from it.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos::control {

enum class OperationKind {
  kGetStatus,
  kListHosts,
  kListPlugins,
  kGetPlugin,
  kGetPluginVersion,
  kRegisterPlugin,
  kLoadPlugin,
  kUnloadPlugin,
  kRemovePlugin,
  kListModels,
  kGetModel,
  kGetModelVersion,
  kRegisterModel,
  kLoadModel,
  kUnloadModel,
  kRemoveModel,
};

struct OperationRow {
  OperationKind kind;
  std::string_view name;         // "plugin.register"
  std::string_view http_method;  // "POST"
  std::string_view http_path;    // "/api/v1/plugins/{name}/versions/{version}/load"
  bool takes_body;               // a JSON object
  bool can_wait;                 // ?wait=false answers 202 at once
  std::string_view help;
};

std::span<const OperationRow> Operations();

// One control action as a front end understood it.
struct Operation {
  OperationKind kind = OperationKind::kGetStatus;
  std::string name;     // {name}
  std::string version;  // {version}
  boost::json::object body;
  bool wait = true;
};

struct Outcome {
  Status status;
  std::string hint;         // on errors: what to do next
  boost::json::value body;  // on success: the object
  bool created = false;     // 201
  bool accepted = false;    // 202: goes on
};

// The one control path.  Thread-safe: any thread may call Apply; `done` is
// called exactly once, on the control loop's thread.
class Control {
 public:
  virtual ~Control() = default;
  virtual void Apply(Operation operation, std::function<void(Outcome)> done) = 0;
};

}  // namespace mlos::control
