// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/repository_handler.h"

#include <boost/json/object.hpp>
#include <memory>
#include <utility>

#include "frontends/common/infer_plan.h"
#include "frontends/http/management_handler.h"
#include "repository/given.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using frontend::Quote;

// The object below "parameters"; null: none is given.
StatusOr<const json::object*> Parameters(const json::object& body) {
  const json::value* parameters = body.if_contains("parameters");
  if (parameters == nullptr || parameters->is_null()) return nullptr;
  if (!parameters->is_object()) return InvalidArgument("\"parameters\" is not an object");
  return &parameters->get_object();
}

std::string_view KeyOf(const json::key_value_pair& member) {
  return {member.key().data(), member.key().size()};
}

Status CheckUnloadParameters(const json::object& body) {
  MLOS_ASSIGN_OR_RETURN(const json::object* parameters, Parameters(body));
  if (parameters == nullptr) return OkStatus();
  for (const auto& member : *parameters) {
    MLOS_RETURN_IF_ERROR(frontend::CheckUnloadParameter(KeyOf(member)));
    if (!member.value().is_bool()) {
      return InvalidArgument("\"unload_dependents\" is not a boolean");
    }
  }
  return OkStatus();
}

Status AddFile(std::string_view name, std::string_view path, const json::value& value,
               repository::Given* given) {
  if (!value.is_string()) {
    return InvalidArgument("parameter " + Quote(name) + " is not a string of base64");
  }
  given->files.push_back({std::string(path), std::string(value.get_string()), /*base64=*/true});
  return OkStatus();
}

// Null: the load brings nothing along.
StatusOr<std::shared_ptr<const repository::Given>> ReadGiven(const json::object& body) {
  MLOS_ASSIGN_OR_RETURN(const json::object* parameters, Parameters(body));
  if (parameters == nullptr || parameters->empty()) return nullptr;
  auto given = std::make_shared<repository::Given>();
  for (const auto& member : *parameters) {
    const std::string_view key = KeyOf(member);
    MLOS_ASSIGN_OR_RETURN(const auto path, frontend::LoadParameter(key));
    if (path) {
      MLOS_RETURN_IF_ERROR(AddFile(key, *path, member.value(), given.get()));
    } else {
      if (!member.value().is_string()) {
        return InvalidArgument("\"config\" is not a string that holds a configuration's JSON");
      }
      given->config = std::string(member.value().get_string());
    }
  }
  MLOS_RETURN_IF_ERROR(repository::CheckGiven(*given));
  return given;
}

void AppendEntry(const frontend::IndexEntry& entry, Buffer* out) {
  out->Append("{\"name\":");
  tensor::AppendJsonString(entry.name, out);
  if (!entry.version.empty()) {
    out->Append(",\"version\":");
    tensor::AppendJsonString(entry.version, out);
  }
  out->Append(",\"state\":");
  tensor::AppendJsonString(entry.state, out);
  if (!entry.reason.empty()) {
    out->Append(",\"reason\":");
    tensor::AppendJsonString(entry.reason, out);
  }
  out->Append('}');
}

}  // namespace

bool RepositoryHandler::Handle(const Route& route, const Body& body, Response& response) {
  const Status named = frontend::CheckRepositoryName(route.repository);
  if (!named.ok()) {
    response.Error(named);
    return true;
  }
  if (route.target == Target::kRepositoryIndex) {
    Index(body, response);
    return true;
  }
  const Status begun = Begin(route, body);
  if (begun.ok()) return false;
  response.Error(begun);
  return true;
}

Status RepositoryHandler::Begin(const Route& route, const Body& body) {
  json::object object;
  MLOS_RETURN_IF_ERROR(ParseObjectBody(body, false, &object));
  // Success has no body.
  const auto done = [this](const Status& status) {
    if (!status.ok()) exchange_.response().Error(status);
    exchange_.Send();
  };
  if (route.target == Target::kRepositoryLoad) {
    MLOS_ASSIGN_OR_RETURN(auto given, ReadGiven(object));
    call_.Load(route.name, std::move(given), done);
  } else {
    MLOS_RETURN_IF_ERROR(CheckUnloadParameters(object));
    call_.Unload(route.name, done);
  }
  return OkStatus();
}

void RepositoryHandler::Index(const Body& body, Response& response) {
  json::object object;
  if (const Status parsed = ParseObjectBody(body, false, &object); !parsed.ok()) {
    return response.Error(parsed);
  }
  bool ready = false;
  if (const json::value* asked = object.if_contains("ready"); asked != nullptr) {
    if (!asked->is_bool()) return response.Error(InvalidArgument("\"ready\" is not a boolean"));
    ready = asked->get_bool();
  }
  bool first = true;
  response.body.Append('[');
  for (const frontend::IndexEntry& entry :
       frontend::RepositoryIndex(*context_.engine.routes(), ready)) {
    if (!std::exchange(first, false)) response.body.Append(',');
    AppendEntry(entry, &response.body);
  }
  response.body.Append(']');
}

}  // namespace mlos::http
