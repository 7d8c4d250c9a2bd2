// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/settings_methods.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <utility>
#include <variant>

#include "frontends/common/control_call.h"
#include "frontends/common/infer_plan.h"
#include "frontends/common/log_settings.h"
#include "frontends/grpc/unary.h"
#include "proto/inference.pb.h"

namespace mlos::grpc {
namespace {

namespace json = boost::json;
using frontend::SettingValue;

std::string Text(const json::string& text) { return {text.data(), text.size()}; }

// ----------------------------------------------------------------------- trace

// No values at all clear what holds for the model alone.
json::object TraceChange(const inference::TraceSettingRequest& request) {
  json::object settings;
  for (const auto& [name, setting] : request.settings()) {
    json::value& value = settings[name];
    if (setting.value_size() == 0) continue;  // null
    json::array& texts = value.emplace_array();
    for (const std::string& text : setting.value()) texts.emplace_back(text);
  }
  return settings;
}

void FillTrace(const json::object& settings, inference::TraceSettingResponse* answer) {
  for (const auto& member : settings) {
    auto& setting =
        (*answer->mutable_settings())[std::string(member.key().data(), member.key().size())];
    if (const json::array* texts = member.value().if_array()) {
      for (const json::value& text : *texts) setting.add_value(Text(text.get_string()));
    } else if (const json::string* text = member.value().if_string()) {
      setting.add_value(Text(*text));
    }
  }
}

class TraceHandler final : public SmallHandler {
 public:
  TraceHandler(ServiceContext& context, rpc::Call& call)
      : SmallHandler(call), control_(context.loop, context.control) {}
  void OnCancel() override { control_.Forget(); }

 private:
  void Handle(const std::string&) override {
    inference::TraceSettingRequest request;
    if (!Parse(&request)) return;
    control::Operation operation;
    operation.kind = request.settings().empty() ? control::OperationKind::kGetTraceSettings
                                                : control::OperationKind::kSetTraceSettings;
    if (!request.settings().empty()) operation.body["settings"] = TraceChange(request);
    if (!request.model_name().empty()) operation.body["model"] = request.model_name();
    control_.Apply(std::move(operation),
                   [this](const control::Outcome& outcome) { OnOutcome(outcome); });
  }

  void OnOutcome(const control::Outcome& outcome) {
    if (!outcome.status.ok()) return Fail(outcome.status);
    inference::TraceSettingResponse answer;
    if (const json::object* object = outcome.body.if_object()) {
      const json::value* settings = object->if_contains("settings");
      if (settings != nullptr && settings->is_object()) {
        FillTrace(settings->get_object(), &answer);
      }
    }
    Reply(answer);
  }

  frontend::ControlCall control_;
};

// ------------------------------------------------------------------------- log

class LogHandler final : public SmallHandler {
 public:
  LogHandler(ServiceContext& context, rpc::Call& call)
      : SmallHandler(call), control_(context.loop, context.control) {}
  void OnCancel() override { control_.Forget(); }

 private:
  using Request = inference::LogSettingsRequest;

  void Handle(const std::string&) override {
    Request request;
    if (!Parse(&request)) return;
    control::Operation change = frontend::BeginLogChange();
    for (const auto& [name, setting] : request.settings()) {
      const StatusOr<SettingValue> value = ReadValue(name, setting);
      const Status added =
          value.ok() ? frontend::AddLogChange(name, *value, &change) : value.status();
      if (!added.ok()) return Fail(added);
    }
    if (frontend::IsEmpty(change)) return ReplyAll();
    control_.Apply(std::move(change), [this](const control::Outcome& outcome) {
      if (!outcome.status.ok()) return Fail(outcome.status);
      ReplyAll();
    });
  }

  static StatusOr<SettingValue> ReadValue(const std::string& name,
                                          const Request::SettingValue& setting) {
    switch (setting.parameter_choice_case()) {
      case Request::SettingValue::kBoolParam:
        return SettingValue(setting.bool_param());
      case Request::SettingValue::kUint32Param:
        return SettingValue(uint64_t{setting.uint32_param()});
      case Request::SettingValue::kStringParam:
        return SettingValue(setting.string_param());
      case Request::SettingValue::PARAMETER_CHOICE_NOT_SET:
        break;
    }
    return InvalidArgument("log setting " + frontend::Quote(name) + " has no value");
  }

  void ReplyAll() {
    inference::LogSettingsResponse answer;
    for (const auto& [name, value] : frontend::ReadLogSettings()) {
      auto& setting = (*answer.mutable_settings())[std::string(name)];
      if (const bool* on = std::get_if<bool>(&value)) {
        setting.set_bool_param(*on);
      } else if (const uint64_t* number = std::get_if<uint64_t>(&value)) {
        setting.set_uint32_param(static_cast<uint32_t>(*number));
      } else {
        setting.set_string_param(std::get<std::string>(value));
      }
    }
    Reply(answer);
  }

  frontend::ControlCall control_;
};

}  // namespace

std::unique_ptr<rpc::Method> NewTraceSetting(ServiceContext& context) {
  return std::make_unique<MethodOf<TraceHandler, ServiceContext>>(context);
}

std::unique_ptr<rpc::Method> NewLogSettings(ServiceContext& context) {
  return std::make_unique<MethodOf<LogHandler, ServiceContext>>(context);
}

}  // namespace mlos::grpc
