// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <boost/json.hpp>
#include <charconv>
#include <limits>

namespace mlos::onnxrt {
namespace {

namespace json = boost::json;

constexpr uint32_t kMaxThreads = 256;
constexpr uint32_t kMaxInstances = 1024;

std::string_view View(const json::string& text) { return {text.data(), text.size()}; }

// A whole number, written as one or as decimal text (protobuf's JSON writes
// 64-bit numbers so).
bool WholeNumber(const json::value& value, int64_t* number) {
  if (value.is_int64()) {
    *number = value.get_int64();
    return true;
  }
  if (!value.is_string()) return false;
  const std::string_view text = View(value.get_string());
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return code == std::errc() && end == text.data() + text.size();
}

// {"string_value": "2"} is how ModelConfig writes a parameter; a plain value
// is taken as well.
const json::value* ParameterValue(const json::value& parameter) {
  if (!parameter.is_object()) return &parameter;
  return parameter.get_object().if_contains("string_value");
}

std::string Shown(const json::value& value) {
  return value.is_string() ? Quote(View(value.get_string())) : Quote(json::serialize(value));
}

Error Bad(std::string_view what, std::string_view name, const json::value& value,
          std::string_view allowed) {
  return Invalid(std::string(what) + " " + Quote(name) + " is " + Shown(value) + "; allowed is " +
                 std::string(allowed));
}

Error TakeNumber(std::string_view what, std::string_view name, const json::value& value,
                 uint32_t max, std::string_view zero_means, uint32_t* to) {
  int64_t number = 0;
  if (!WholeNumber(value, &number) || number < 0 || number > max) {
    return Bad(what, name, value, "0" + std::string(zero_means) + " to " + std::to_string(max));
  }
  *to = static_cast<uint32_t>(number);
  return {};
}

Error TakeBool(std::string_view name, const json::value& value, bool* to) {
  const std::string text =
      value.is_string() ? std::string(View(value.get_string())) : json::serialize(value);
  if (text == "1" || text == "true") {
    *to = true;
  } else if (text == "0" || text == "false") {
    *to = false;
  } else {
    return Bad("parameter", name, value, "0, 1, true or false");
  }
  return {};
}

Error TakeOptimization(std::string_view name, const json::value& value,
                       GraphOptimizationLevel* to) {
  const std::string text =
      value.is_string() ? std::string(View(value.get_string())) : json::serialize(value);
  if (text == "disable") {
    *to = ORT_DISABLE_ALL;
  } else if (text == "basic") {
    *to = ORT_ENABLE_BASIC;
  } else if (text == "extended") {
    *to = ORT_ENABLE_EXTENDED;
  } else if (text == "all") {
    *to = ORT_ENABLE_ALL;
  } else {
    return Bad("parameter", name, value, "disable, basic, extended or all");
  }
  return {};
}

Error TakeParameter(std::string_view name, const json::value& value, Settings* settings) {
  if (name == "intra_op_thread_count") {
    return TakeNumber("parameter", name, value, kMaxThreads, " (as granted)",
                      &settings->intra_op_threads);
  }
  if (name == "inter_op_thread_count") {
    return TakeNumber("parameter", name, value, kMaxThreads, " (the machine's choice)",
                      &settings->inter_op_threads);
  }
  if (name == "execution_mode") {
    uint32_t mode = 0;
    Error error = TakeNumber("parameter", name, value, 1, " (sequential)", &mode);
    if (error.ok()) settings->parallel_execution = mode == 1;
    return error;
  }
  if (name == "graph_optimization_level") {
    return TakeOptimization(name, value, &settings->optimization);
  }
  if (name == "enable_cpu_mem_arena" || name == "enable_mem_arena") {
    return TakeBool(name, value, &settings->cpu_mem_arena);
  }
  if (name == "enable_mem_pattern") return TakeBool(name, value, &settings->mem_pattern);
  if (name == "allow_spinning") return TakeBool(name, value, &settings->allow_spinning);
  if (name == "stateful") return TakeBool(name, value, &settings->stateful);
  settings->unknown.emplace_back(name);
  return {};
}

Error TakeParameters(const json::value& parameters, Settings* settings) {
  if (!parameters.is_object()) return Invalid("member 'parameters' is not an object");
  for (const auto& entry : parameters.get_object()) {
    const std::string_view name(entry.key().data(), entry.key().size());
    const json::value* value = ParameterValue(entry.value());
    if (value == nullptr) {
      return Invalid("parameter " + Quote(name) + " has no member 'string_value'");
    }
    if (Error error = TakeParameter(name, *value, settings); !error.ok()) return error;
  }
  return {};
}

// "optimization": {"graph": {"level": N}}, with the numbers other servers gave
// them: -1 basic, 0 everything, 1 basic and extended, 2 nothing.
Error TakeGraphLevel(const json::value& optimization, Settings* settings) {
  if (!optimization.is_object()) return Invalid("member 'optimization' is not an object");
  const json::value* graph = optimization.get_object().if_contains("graph");
  if (graph == nullptr) return {};
  if (!graph->is_object()) return Invalid("member 'optimization.graph' is not an object");
  const json::value* level = graph->get_object().if_contains("level");
  if (level == nullptr) return {};
  int64_t number = 0;
  if (!WholeNumber(*level, &number) || number < -1 || number > 2) {
    return Bad("setting", "optimization.graph.level", *level,
               "-1 (basic), 0 (all), 1 (extended) or 2 (none)");
  }
  static constexpr GraphOptimizationLevel kLevels[] = {ORT_ENABLE_BASIC, ORT_ENABLE_ALL,
                                                       ORT_ENABLE_EXTENDED, ORT_DISABLE_ALL};
  settings->optimization = kLevels[number + 1];
  return {};
}

Error TakeInstanceGroups(const json::value& groups, Settings* settings) {
  if (!groups.is_array()) return Invalid("member 'instance_group' is not an array");
  for (const json::value& group : groups.get_array()) {
    if (!group.is_object()) return Invalid("an entry of 'instance_group' is not an object");
    const json::value* kind = group.get_object().if_contains("kind");
    if (kind != nullptr && *kind != "KIND_AUTO" && *kind != "KIND_CPU" && *kind != "KIND_MODEL") {
      return Bad("setting", "instance_group.kind", *kind, "KIND_AUTO, KIND_CPU or KIND_MODEL");
    }
    uint32_t count = 1;
    if (const json::value* value = group.get_object().if_contains("count")) {
      Error error =
          TakeNumber("setting", "instance_group.count", *value, kMaxInstances, " (as 1)", &count);
      if (!error.ok()) return error;
    }
    settings->instances = std::min(settings->instances + std::max(count, 1u), kMaxInstances);
  }
  return {};
}

}  // namespace

Error ParseSettings(std::string_view config, Settings* settings) {
  json::error_code code;
  const json::value parsed = json::parse({config.data(), config.size()}, code);
  if (code) return Invalid("the configuration is not valid JSON: " + code.message());
  if (!parsed.is_object()) return Invalid("the configuration is not a JSON object");
  const json::object& object = parsed.get_object();

  Error error;
  if (const json::value* value = object.if_contains("max_batch_size")) {
    error = TakeNumber("setting", "max_batch_size", *value, std::numeric_limits<int32_t>::max(),
                       " (no batching)", &settings->max_batch_size);
  }
  if (const json::value* value = object.if_contains("optimization"); value && error.ok()) {
    error = TakeGraphLevel(*value, settings);
  }
  if (const json::value* value = object.if_contains("instance_group"); value && error.ok()) {
    error = TakeInstanceGroups(*value, settings);
  }
  if (const json::value* value = object.if_contains("parameters"); value && error.ok()) {
    error = TakeParameters(*value, settings);
  }
  return error;
}

}  // namespace mlos::onnxrt
