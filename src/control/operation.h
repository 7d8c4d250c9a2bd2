// SPDX-License-Identifier: Apache-2.0
//
// The control path as front ends see it: an operation (a row of
// operations/operations.h with its arguments) in, an outcome out.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "operations/operations.h"

namespace mlos::repository {
struct Given;
}

namespace mlos::control {

using operations::OperationKind;

struct Outcome {
  Status status;
  std::string hint;         // on errors: what to do next
  boost::json::value body;  // on success: the object
  bool created = false;     // 201
  bool accepted = false;    // 202: goes on
};

// One control action as a front end understood it.
struct Operation {
  OperationKind kind = OperationKind::kGetStatus;
  std::string name;          // {name}
  std::string version;       // {version}
  boost::json::object body;  // and the query's parameters that the row knows
  bool wait = true;
  // kLoadModelVersions: what the load brings along; null: nothing.
  std::shared_ptr<const repository::Given> given;
  // Of who waits for the answer, where somebody does that can go away: what only
  // reads is then not done for nobody.
  std::optional<std::weak_ptr<const void>> waiting;
  // With `wait`, of what takes long: told at most once, before the end, that it
  // goes on and what it is by then.  On the control loop's thread; null: nobody
  // wants to know.
  std::function<void(const Outcome&)> begun;
};

// The one control path.  Thread-safe: any thread may call Apply; `done` is
// called exactly once, on the control loop's thread.
class Control {
 public:
  virtual ~Control() = default;
  virtual void Apply(Operation operation, std::function<void(Outcome)> done) = 0;
};

}  // namespace mlos::control
