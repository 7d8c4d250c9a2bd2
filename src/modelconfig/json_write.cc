// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <map>

#include "modelconfig/json.h"

namespace mlos::modelconfig {
namespace {

namespace pb = google::protobuf;
namespace json = boost::json;
using Cpp = pb::FieldDescriptor::CppType;

json::value Real(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return number;
}

json::object Write(const pb::Message& message, Form form);

// One value of a field; `index`: -1 where it is not repeated.
json::value Value(const pb::Message& message, const pb::FieldDescriptor& field, int index,
                  Form form) {
  const pb::Reflection& r = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case Cpp::CPPTYPE_MESSAGE:
      return Write(
          one ? r.GetMessage(message, &field) : r.GetRepeatedMessage(message, &field, index), form);
    case Cpp::CPPTYPE_INT32:
      return one ? r.GetInt32(message, &field) : r.GetRepeatedInt32(message, &field, index);
    case Cpp::CPPTYPE_INT64:
      return one ? r.GetInt64(message, &field) : r.GetRepeatedInt64(message, &field, index);
    case Cpp::CPPTYPE_UINT32:
      return one ? r.GetUInt32(message, &field) : r.GetRepeatedUInt32(message, &field, index);
    case Cpp::CPPTYPE_UINT64:
      return one ? r.GetUInt64(message, &field) : r.GetRepeatedUInt64(message, &field, index);
    case Cpp::CPPTYPE_FLOAT:
      return Real(one ? r.GetFloat(message, &field) : r.GetRepeatedFloat(message, &field, index));
    case Cpp::CPPTYPE_DOUBLE:
      return Real(one ? r.GetDouble(message, &field) : r.GetRepeatedDouble(message, &field, index));
    case Cpp::CPPTYPE_BOOL:
      return one ? r.GetBool(message, &field) : r.GetRepeatedBool(message, &field, index);
    case Cpp::CPPTYPE_ENUM: {
      const int number =
          one ? r.GetEnumValue(message, &field) : r.GetRepeatedEnumValue(message, &field, index);
      const auto* value = field.enum_type()->FindValueByNumber(number);
      if (value == nullptr) return number;
      return json::string(value->name());
    }
    case Cpp::CPPTYPE_STRING:
      return json::string(one ? r.GetString(message, &field)
                              : r.GetRepeatedString(message, &field, index));
  }
  return nullptr;
}

std::string KeyText(const json::value& key) {
  if (key.is_string()) return std::string(key.get_string());
  return std::to_string(key.to_number<uint64_t>());
}

json::value Repeated(const pb::Message& message, const pb::FieldDescriptor& field, Form form) {
  const pb::Reflection& r = *message.GetReflection();
  const int count = r.FieldSize(message, &field);
  if (!field.is_map()) {
    json::array out;
    for (int i = 0; i < count; ++i) out.push_back(Value(message, field, i, form));
    return out;
  }
  std::map<std::string, json::value> sorted;  // a map has no order of its own
  for (int i = 0; i < count; ++i) {
    const pb::Message& entry = r.GetRepeatedMessage(message, &field, i);
    const pb::Descriptor& type = *field.message_type();
    sorted.insert_or_assign(KeyText(Value(entry, *type.map_key(), -1, form)),
                            Value(entry, *type.map_value(), -1, form));
  }
  json::object out;
  for (auto& [key, value] : sorted) out.emplace(key, std::move(value));
  return out;
}

bool IsWritten(const pb::Message& message, const pb::FieldDescriptor& field, Form form) {
  const pb::Reflection& r = *message.GetReflection();
  if (field.is_repeated()) return form == Form::kFull || r.FieldSize(message, &field) > 0;
  if (r.HasField(message, &field)) return true;
  // A parameter is its text, also where that is empty.
  if (message.GetDescriptor() == inference::ModelParameter::descriptor()) return true;
  return form == Form::kFull && field.cpp_type() != Cpp::CPPTYPE_MESSAGE &&
         field.real_containing_oneof() == nullptr;
}

json::object Write(const pb::Message& message, Form form) {
  json::object out;
  const pb::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    if (!IsWritten(message, field, form)) continue;
    out.emplace(field.name(), field.is_repeated() ? Repeated(message, field, form)
                                                  : Value(message, field, -1, form));
  }
  return out;
}

}  // namespace

json::object ToJson(const inference::ModelConfig& config, Form form) { return Write(config, form); }

}  // namespace mlos::modelconfig
