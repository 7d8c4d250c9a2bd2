// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/management_handler.h"

#include <boost/json/serialize.hpp>
#include <string>
#include <utility>

#include "base/json.h"

namespace mlos::http {
namespace {

constexpr uint32_t kMaxManagementDepth = 32;

// What would be passed over in silence is refused; an empty object says nothing
// and is what some clients always send.
Status CheckNoBody(const Body& body) {
  boost::json::object object;
  if (ParseObjectBody(body, false, &object).ok() && object.empty()) return OkStatus();
  return InvalidArgument("this operation takes no body");
}

}  // namespace

Status ParseObjectBody(const Body& body, bool required, boost::json::object* object) {
  if (body.size == 0) return required ? InvalidArgument("the body is empty") : OkStatus();
  StatusOr<boost::json::value> value = ParseJson({body.data, body.size}, kMaxManagementDepth);
  if (!value.ok()) return Annotate(value.status(), "the body is not valid JSON");
  if (!value->is_object()) return InvalidArgument("the body is not a JSON object");
  *object = std::move(value->get_object());
  return OkStatus();
}

bool ManagementHandler::Handle(const Route& route, const Body& body, Response& response) {
  const operations::OperationRow& row = *route.operation;
  control::Operation operation;
  operation.kind = row.kind;
  operation.name = route.name;
  operation.version = route.version;
  operation.wait = route.wait || !row.can_wait();
  if (row.takes_body()) {
    const Status parsed = ParseObjectBody(body, true, &operation.body);
    if (!parsed.ok()) {
      response.ManagementError(parsed, "send a JSON object");
      return true;
    }
  } else if (const Status nothing = CheckNoBody(body); !nothing.ok()) {
    response.ManagementError(nothing, "leave the body out");
    return true;
  }
  if (const Status query = ReadQuery(row, route.query, &operation.body); !query.ok()) {
    response.ManagementError(query, {});
    return true;
  }
  call_.ApplyForText(
      std::move(operation),
      [](const control::Outcome& outcome) { return boost::json::serialize(outcome.body); },
      [this](const control::Outcome& outcome, const std::string& text) {
        OnOutcome(outcome, text);
      });
  return false;
}

void ManagementHandler::OnOutcome(const control::Outcome& outcome, std::string_view text) {
  Response& response = exchange_.response();
  if (outcome.status.ok()) {
    response.status = outcome.created ? 201 : outcome.accepted ? 202 : 200;
    response.body.Append(text);
  } else {
    response.ManagementError(outcome.status, outcome.hint);
  }
  exchange_.Send();
}

}  // namespace mlos::http
