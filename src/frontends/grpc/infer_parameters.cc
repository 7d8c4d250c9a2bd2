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

// Which member of InferParameter is set.
enum class Kind : uint8_t { kUnset, kBool = 1, kInt = 2, kText = 3, kDouble = 4, kUint = 5 };

struct Parameter {
  std::string_view name;
  Kind kind = Kind::kUnset;
  uint64_t number = 0;  // kBool, kInt, kUint, and the bits of kDouble
  std::string_view text;
};

Status Damaged() { return InvalidArgument("the message is damaged in its parameters"); }

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

// For the rules that all protocols share.
class ParameterValue {
 public:
  explicit ParameterValue(const Parameter& parameter) : parameter_(parameter) {}

  Status Uint(uint64_t* out) const {
    const bool negative =
        parameter_.kind == Kind::kInt && static_cast<int64_t>(parameter_.number) < 0;
    if ((parameter_.kind != Kind::kInt && parameter_.kind != Kind::kUint) || negative) {
      return Wrong("an integer from 0 on (int64_param or uint64_param)");
    }
    *out = parameter_.number;
    return OkStatus();
  }
  Status Bool(bool* out) const {
    if (parameter_.kind != Kind::kBool) return Wrong("a bool_param");
    *out = parameter_.number != 0;
    return OkStatus();
  }
  Status Text(std::string_view* out) const {
    if (parameter_.kind != Kind::kText) return Wrong("a string_param");
    *out = parameter_.text;
    return OkStatus();
  }
  Status SequenceId(bool* in_sequence) const {
    if (parameter_.kind == Kind::kText) {
      *in_sequence = !parameter_.text.empty();
      return OkStatus();
    }
    uint64_t number = 0;
    MLOS_RETURN_IF_ERROR(Uint(&number));
    *in_sequence = number != 0;
    return OkStatus();
  }

 private:
  Status Wrong(std::string_view wanted) const {
    return InvalidArgument("parameter " + Quote(parameter_.name) + " is not " +
                           std::string(wanted));
  }

  const Parameter& parameter_;
};

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

}  // namespace

Status ReadRequestParameter(const WireField& entry, InferRequest* request) {
  Parameter parameter;
  MLOS_RETURN_IF_ERROR(ReadEntry(entry, &parameter));
  MLOS_RETURN_IF_ERROR(frontend::MarkParameter(parameter.name, request));
  const ParameterValue value(parameter);
  bool flag = false;
  if (parameter.name == "triton_enable_empty_final_response") return value.Bool(&flag);
  if (parameter.name == "binary_data_output") return OkStatus();  // HTTP's
  MLOS_ASSIGN_OR_RETURN(const bool reserved,
                        frontend::ReadReserved(parameter.name, value, request));
  if (reserved) return OkStatus();
  MLOS_ASSIGN_OR_RETURN(const std::string text, JsonOf(parameter));
  return frontend::AddCustom(Quoted(parameter.name), text, request);
}

Status ReadInputParameter(const WireField& entry, frontend::RegionPlace* place) {
  Parameter parameter;
  MLOS_RETURN_IF_ERROR(ReadEntry(entry, &parameter));
  return frontend::ReadPlace(parameter.name, ParameterValue(parameter), place);
}

Status ReadOutputParameter(const WireField& entry, frontend::AskedOutput* output,
                           bool* classified) {
  Parameter parameter;
  MLOS_RETURN_IF_ERROR(ReadEntry(entry, &parameter));
  const ParameterValue value(parameter);
  if (parameter.name != "classification") {
    return frontend::ReadPlace(parameter.name, value, &output->place);
  }
  // 0 asks for nothing: some clients always send it.
  if (std::exchange(*classified, true)) return frontend::GivenTwice(parameter.name);
  return value.Uint(&output->classes);
}

}  // namespace mlos::grpc
