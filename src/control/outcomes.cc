// SPDX-License-Identifier: Apache-2.0
#include "control/outcomes.h"

#include <utility>

namespace mlos::control {
namespace json = boost::json;

using K = OperationKind;

namespace {

// The request that shows what an operation is about.
std::string ListOf(const Operation& op) {
  const bool plugin =
      operations::Row(op.kind).permission.resource == operations::Resource::kPlugins;
  return operations::RequestText(operations::Row(plugin ? K::kListPlugins : K::kListModels));
}

// What to do next, by what went wrong.
std::string HintFor(const Operation& op, const Status& status) {
  const operations::OperationRow& row = operations::Row(op.kind);
  switch (status.code()) {
    case StatusCode::kNotFound:
      return op.kind == K::kRegisterPlugin || op.kind == K::kRegisterModel
                 ? "check the path: it is a path on the machine that mlosd runs on"
                 : "list what there is: " + ListOf(op);
    case StatusCode::kAlreadyExists:
      return "see what there is: " + ListOf(op);
    case StatusCode::kFailedPrecondition:
      return op.kind == K::kLoadModel
                 ? "see its state and its policy: " + ListOf(op) + "; its plugin's: " +
                       operations::RequestText(operations::Row(K::kListPlugins))
                 : "see its state: " + ListOf(op);
    case StatusCode::kUnavailable:
      return row.can_wait() ? "the object's \"reason\" says what failed; mend it and load again"
                            : "nothing has changed; mend what the message names and try again";
    case StatusCode::kInvalidArgument:
      return operations::RequestText(row) + ": " + std::string(row.help);
    default:
      return {};
  }
}

}  // namespace

Outcome Fail(const Operation& op, const Status& status) {
  Outcome out;
  out.status = status;
  out.hint = HintFor(op, status);
  return out;
}

Outcome Object(json::value body) {
  Outcome out;
  out.body = std::move(body);
  return out;
}

}  // namespace mlos::control
