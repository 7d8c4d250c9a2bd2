// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/logging_handler.h"

#include <boost/json/object.hpp>
#include <utility>

#include "frontends/common/infer_plan.h"
#include "frontends/common/log_settings.h"
#include "frontends/http/management_handler.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using frontend::SettingValue;

void AppendSettings(Buffer* out) {
  const char* separator = "{";
  for (const auto& [name, value] : frontend::ReadLogSettings()) {
    out->Append(separator);
    separator = ",";
    tensor::AppendJsonString(name, out);
    out->Append(':');
    if (const bool* on = std::get_if<bool>(&value)) {
      out->Append(*on ? "true" : "false");
    } else if (const uint64_t* number = std::get_if<uint64_t>(&value)) {
      tensor::AppendJsonInt(static_cast<int64_t>(*number), out);
    } else {
      tensor::AppendJsonString(std::get<std::string>(value), out);
    }
  }
  out->Append('}');
}

StatusOr<SettingValue> ReadValue(std::string_view name, const json::value& value) {
  if (value.is_bool()) return SettingValue(value.get_bool());
  if (value.is_int64() && value.get_int64() >= 0) {
    return SettingValue(static_cast<uint64_t>(value.get_int64()));
  }
  if (value.is_string()) {
    return SettingValue(std::string(value.get_string().data(), value.get_string().size()));
  }
  return InvalidArgument(frontend::Quote(name) +
                         " is neither a boolean nor an integer from 0 on nor a string");
}

StatusOr<control::Operation> ReadChange(const Body& body) {
  json::object members;
  MLOS_RETURN_IF_ERROR(ParseObjectBody(body, true, &members));
  control::Operation change = frontend::BeginLogChange();
  for (const auto& member : members) {
    const std::string_view name(member.key().data(), member.key().size());
    if (member.value().is_null()) continue;  // clients send what they do not set
    MLOS_ASSIGN_OR_RETURN(const SettingValue value, ReadValue(name, member.value()));
    MLOS_RETURN_IF_ERROR(frontend::AddLogChange(name, value, &change));
  }
  return change;
}

}  // namespace

bool LoggingHandler::Handle(const Route& route, const Body& body, Response& response) {
  if (route.method != Method::kPost) {
    AppendSettings(&response.body);
    return true;
  }
  StatusOr<control::Operation> change = ReadChange(body);
  if (!change.ok()) {
    response.Error(change.status());
    return true;
  }
  if (frontend::IsEmpty(*change)) {
    AppendSettings(&response.body);
    return true;
  }
  call_.Apply(*std::move(change), [this](const control::Outcome& outcome) {
    Response& answer = exchange_.response();
    if (outcome.status.ok()) {
      AppendSettings(&answer.body);
    } else {
      answer.Error(outcome.status);
    }
    exchange_.Send();
  });
  return false;
}

}  // namespace mlos::http
