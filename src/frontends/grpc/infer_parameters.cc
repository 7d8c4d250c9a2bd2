// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_parameters.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cmath>
#include <functional>
#include <utility>

#include "base/utf8.h"
#include "frontends/common/infer_plan.h"
#include "tensor/message.h"

namespace mlos::grpc {
namespace {

using frontend::Quote;
using frontend::RegionPlace;

// Which member of InferParameter is set.
enum class Kind : uint8_t { kUnset, kBool = 1, kInt = 2, kText = 3, kDouble = 4, kUint = 5 };

struct Parameter {
  std::string_view name;
  Kind kind = Kind::kUnset;
  uint64_t number = 0;  // kBool, kInt, kUint, and the bits of kDouble
  std::string_view text;
};

Status Damaged() { return InvalidArgument("the message is damaged in its parameters"); }

Status Twice(std::string_view name) {
  return InvalidArgument("parameter " + Quote(name) + " is given twice");
}

Status ReadValue(std::string_view message, Parameter* to) {
  FieldReader reader(message);
  WireField f;
  while (reader.Next(&f)) {
    const auto kind = static_cast<Kind>(std::min<uint32_t>(f.number, 6));
    const WireType wanted = kind == Kind::kText     ? WireType::kBytes
                            : kind == Kind::kDouble ? WireType::kFixed64
                                                    : WireType::kVarint;
    if (f.number > static_cast<uint32_t>(Kind::kUint)) continue;
    if (f.type != wanted) return Damaged();
    to->kind = kind;
    to->number = f.value;
    to->text = f.bytes;
  }
  if (reader.bad()) return Damaged();
  if (to->kind == Kind::kText && !IsUtf8(to->text)) {
    return InvalidArgument("parameter " + Quote(to->name) + " is not valid UTF-8");
  }
  return OkStatus();
}

// An entry of the map: the name, and the message with its value.
Status ReadEntry(const WireField& entry, Parameter* to) {
  if (entry.type != WireType::kBytes) return Damaged();
  FieldReader reader(entry.bytes);
  WireField f;
  std::string_view value;
  while (reader.Next(&f)) {
    if (f.number > 2) continue;
    if (f.type != WireType::kBytes) return Damaged();
    (f.number == 1 ? to->name : value) = f.bytes;
  }
  if (reader.bad()) return Damaged();
  if (!IsUtf8(to->name)) return InvalidArgument("a parameter's name is not valid UTF-8");
  return ReadValue(value, to);
}

Status ReadNumber(const Parameter& parameter, uint64_t* out) {
  const bool negative = parameter.kind == Kind::kInt && static_cast<int64_t>(parameter.number) < 0;
  if ((parameter.kind != Kind::kInt && parameter.kind != Kind::kUint) || negative) {
    return InvalidArgument("parameter " + Quote(parameter.name) +
                           " is not an integer from 0 on (int64_param or uint64_param)");
  }
  *out = parameter.number;
  return OkStatus();
}

Status ReadBool(const Parameter& parameter, bool* out) {
  if (parameter.kind != Kind::kBool) {
    return InvalidArgument("parameter " + Quote(parameter.name) + " is not a bool_param");
  }
  *out = parameter.number != 0;
  return OkStatus();
}

// 0 and "" are no sequence.
Status ReadSequenceId(const Parameter& parameter, bool* in_sequence) {
  if (parameter.kind == Kind::kText) {
    *in_sequence = !parameter.text.empty();
    return OkStatus();
  }
  uint64_t number = 0;
  MLOS_RETURN_IF_ERROR(ReadNumber(parameter, &number));
  *in_sequence = number != 0;
  return OkStatus();
}

std::string Quoted(std::string_view text) {
  return boost::json::serialize(boost::json::string(text.data(), text.size()));
}

StatusOr<std::string> JsonOf(const Parameter& parameter) {
  switch (parameter.kind) {
    case Kind::kBool:
      return std::string(parameter.number != 0 ? "true" : "false");
    case Kind::kInt:
      return std::to_string(static_cast<int64_t>(parameter.number));
    case Kind::kUint:
      return std::to_string(parameter.number);
    case Kind::kText:
      return Quoted(parameter.text);
    case Kind::kDouble: {
      const auto number = std::bit_cast<double>(parameter.number);
      if (!std::isfinite(number)) break;
      std::string text = fmt::format("{}", number);
      // What came as a fraction stays one.
      if (text.find_first_of(".e") == std::string::npos) text += ".0";
      return text;
    }
    case Kind::kUnset:
      break;
  }
  return InvalidArgument("parameter " + Quote(parameter.name) +
                         " has no value, or none that is a "
                         "number");
}

Status AddCustom(const Parameter& parameter, std::string* out) {
  MLOS_ASSIGN_OR_RETURN(const std::string value, JsonOf(parameter));
  *out += out->empty() ? '{' : ',';
  *out += Quoted(parameter.name);
  *out += ':';
  *out += value;
  if (out->size() >= tensor::kMaxParameterBytes) {
    return InvalidArgument("the parameters are longer than " +
                           std::to_string(tensor::kMaxParameterBytes) + " bytes");
  }
  return OkStatus();
}

// A name that comes twice would mean one thing here and another elsewhere.
Status MarkKey(std::string_view name, std::vector<size_t>* seen) {
  const size_t hash = std::hash<std::string_view>()(name);
  if (std::find(seen->begin(), seen->end(), hash) != seen->end()) return Twice(name);
  seen->push_back(hash);
  return OkStatus();
}

// The three that name a place in a client's shared memory; others are ignored.
Status ReadPlace(const Parameter& parameter, RegionPlace* place) {
  if (parameter.name == "shared_memory_region") {
    if (place->name) return Twice(parameter.name);
    if (parameter.kind != Kind::kText) {
      return InvalidArgument("parameter 'shared_memory_region' is not a string_param");
    }
    place->name = parameter.text;
  } else if (parameter.name == "shared_memory_byte_size") {
    if (place->bytes) return Twice(parameter.name);
    return ReadNumber(parameter, &place->bytes.emplace());
  } else if (parameter.name == "shared_memory_offset") {
    if (place->offset) return Twice(parameter.name);
    return ReadNumber(parameter, &place->offset.emplace());
  }
  return OkStatus();
}

}  // namespace

Status CheckPlace(const RegionPlace& place) {
  if (!place.given() || (place.name && place.bytes)) return OkStatus();
  return InvalidArgument(
      "shared memory needs the parameters shared_memory_region and shared_memory_byte_size");
}

Status ReadRequestParameter(const WireField& entry, InferRequest* request) {
  Parameter parameter;
  MLOS_RETURN_IF_ERROR(ReadEntry(entry, &parameter));
  MLOS_RETURN_IF_ERROR(MarkKey(parameter.name, &request->parameter_keys));
  const std::string_view name = parameter.name;
  uint64_t number = 0;
  bool flag = false;
  if (name == "timeout") return ReadNumber(parameter, &request->timeout_us);
  if (name == "priority") return ReadNumber(parameter, &number);  // one class for all, so far
  if (name == "sequence_id") return ReadSequenceId(parameter, &request->in_sequence);
  if (name == "sequence_start" || name == "sequence_end" ||
      name == "triton_enable_empty_final_response") {
    return ReadBool(parameter, &flag);
  }
  if (name == "headers" || name == "binary_data_output") return OkStatus();
  if (name.substr(0, 7) == "triton_") {
    return InvalidArgument("parameter " + Quote(name) +
                           ": names that begin with 'triton_' are reserved");
  }
  return AddCustom(parameter, &request->parameters);
}

Status ReadInputParameter(const WireField& entry, RegionPlace* place) {
  Parameter parameter;
  MLOS_RETURN_IF_ERROR(ReadEntry(entry, &parameter));
  return ReadPlace(parameter, place);
}

Status ReadOutputParameter(const WireField& entry, frontend::AskedOutput* output,
                           bool* classified) {
  Parameter parameter;
  MLOS_RETURN_IF_ERROR(ReadEntry(entry, &parameter));
  if (parameter.name != "classification") return ReadPlace(parameter, &output->place);
  // 0 asks for nothing: some clients always send it.
  if (std::exchange(*classified, true)) return Twice(parameter.name);
  return ReadNumber(parameter, &output->classes);
}

}  // namespace mlos::grpc
