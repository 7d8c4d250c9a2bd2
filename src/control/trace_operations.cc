// SPDX-License-Identifier: Apache-2.0
#include "control/trace_operations.h"

#include <boost/json/array.hpp>
#include <utility>

#include "base/name.h"

namespace mlos::control {
namespace json = boost::json;
namespace {

std::string Text(const json::string& text) { return {text.data(), text.size()}; }

// A text, a number, a list of texts, or null for none.
StatusOr<std::vector<std::string>> ReadTexts(std::string_view name, const json::value& value) {
  std::vector<std::string> texts;
  if (value.is_null()) return texts;
  if (value.is_string()) {
    texts.push_back(Text(value.get_string()));
    return texts;
  }
  if (value.is_int64()) {
    texts.push_back(std::to_string(value.get_int64()));
    return texts;
  }
  const json::array* list = value.if_array();
  if (list == nullptr) {
    return InvalidArgument("trace setting " + Quoted(name) +
                           " is neither a string nor an array of strings nor null");
  }
  texts.reserve(list->size());
  for (const json::value& element : *list) {
    if (!element.is_string()) {
      return InvalidArgument("an element of trace setting " + Quoted(name) + " is no string");
    }
    texts.push_back(Text(element.get_string()));
  }
  return texts;
}

StatusOr<trace::Change> ReadChange(const json::object& settings) {
  trace::Change change;
  for (const auto& member : settings) {
    const std::string name(member.key().data(), member.key().size());
    MLOS_ASSIGN_OR_RETURN(change[name], ReadTexts(name, member.value()));
  }
  return change;
}

json::object SettingsObject(const trace::Shown& shown) {
  json::object out;
  for (const auto& [name, texts] : shown) {
    json::value& value = out[json::string_view(name.data(), name.size())];
    if (name == "trace_level") {
      value = json::array(texts.begin(), texts.end());
    } else {
      value = texts.front();
    }
  }
  return out;
}

}  // namespace

Outcome ApplyTraceOperation(const Operation& op, trace::Tracer& tracer) {
  Outcome out;
  const json::value* named = op.body.if_contains("model");
  const std::string model = named == nullptr ? std::string() : Text(named->get_string());
  if (op.kind == OperationKind::kSetTraceSettings) {
    const json::object& settings = op.body.at("settings").get_object();
    if (settings.empty()) {
      out.status = InvalidArgument("there is nothing to set");
      return out;
    }
    const StatusOr<trace::Change> change = ReadChange(settings);
    out.status = change.ok() ? tracer.Set(model, *change) : change.status();
    if (!out.status.ok()) return out;
  }
  out.body = json::object{{"model", model.empty() ? json::value(nullptr) : json::value(model)},
                          {"settings", SettingsObject(tracer.Get(model))}};
  return out;
}

}  // namespace mlos::control
