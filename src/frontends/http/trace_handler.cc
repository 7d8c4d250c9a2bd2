// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/trace_handler.h"

#include <boost/json/serialize.hpp>
#include <utility>

#include "frontends/http/management_handler.h"

namespace mlos::http {
namespace {

namespace json = boost::json;

}  // namespace

bool TraceHandler::Handle(const Route& route, const Body& body, Response& response) {
  control::Operation operation;
  operation.kind = control::OperationKind::kGetTraceSettings;
  if (route.method == Method::kPost) {
    json::object settings;
    if (const Status parsed = ParseObjectBody(body, true, &settings); !parsed.ok()) {
      response.Error(parsed);
      return true;
    }
    // Where nothing is set, clients ask what is.
    if (!settings.empty()) {
      operation.kind = control::OperationKind::kSetTraceSettings;
      operation.body["settings"] = std::move(settings);
    }
  }
  if (!route.name.empty()) operation.body["model"] = route.name;
  call_.Apply(std::move(operation), [this](const control::Outcome& outcome) {
    Response& answer = exchange_.response();
    const json::object* object = outcome.body.if_object();
    const json::value* settings =
        outcome.status.ok() && object != nullptr ? object->if_contains("settings") : nullptr;
    if (settings != nullptr) {
      answer.body.Append(json::serialize(*settings));
    } else {
      answer.Error(outcome.status.ok() ? Internal("the settings did not come") : outcome.status);
    }
    exchange_.Send();
  });
  return false;
}

}  // namespace mlos::http
