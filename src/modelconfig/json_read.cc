// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "base/json.h"
#include "base/name.h"
#include "base/near_miss.h"
#include "modelconfig/json.h"
#include "modelconfig/text.h"

namespace mlos::modelconfig {
namespace {

namespace pb = google::protobuf;
namespace json = boost::json;
using Cpp = pb::FieldDescriptor::CppType;

std::string_view View(const json::string& text) { return {text.data(), text.size()}; }

Status Wrong(const std::string& path, std::string_view wanted, const json::value& value) {
  return InvalidArgument(
      fmt::format("{} must be {}, not {}", path, wanted, Quoted(json::serialize(value))));
}

// A whole number, written as one, as one with a fraction of nothing, or as text.
template <typename T>
bool Whole(const json::value& value, T* out) {
  if (value.is_int64() || value.is_uint64() || value.is_double()) {
    boost::system::error_code error;
    *out = value.to_number<T>(error);
    return !error;
  }
  if (!value.is_string()) return false;
  const std::string_view text = View(value.get_string());
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool Real(const json::value& value, double* out) {
  if (value.is_number()) {
    *out = value.to_number<double>();
    return true;
  }
  if (!value.is_string()) return false;
  const std::string_view text = View(value.get_string());
  if (text == "NaN") {
    *out = std::numeric_limits<double>::quiet_NaN();
  } else if (text == "Infinity") {
    *out = std::numeric_limits<double>::infinity();
  } else if (text == "-Infinity") {
    *out = -std::numeric_limits<double>::infinity();
  } else {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), *out);
    return code == std::errc() && end == text.data() + text.size();
  }
  return true;
}

std::string FieldNames(const pb::Descriptor& type, std::string_view near) {
  std::vector<std::string_view> names;
  names.reserve(static_cast<size_t>(type.field_count()));
  for (int i = 0; i < type.field_count(); ++i) names.emplace_back(type.field(i)->name());
  return DidYouMean(near, names);
}

// Puts values into one field, once or, for a repeated one, again and again.
class Field {
 public:
  Field(pb::Message* message, const pb::FieldDescriptor& field)
      : message_(*message), reflection_(*message->GetReflection()), field_(field) {}

  Status Put(const json::value& value, const std::string& path);

 private:
  template <typename T, typename Set, typename Add>
  Status PutWhole(const json::value& value, const std::string& path, Set set, Add add) {
    T number{};
    if (!Whole(value, &number)) {
      return Wrong(path,
                   fmt::format("a whole number from {} to {}", std::numeric_limits<T>::min(),
                               std::numeric_limits<T>::max()),
                   value);
    }
    if (field_.is_repeated()) {
      (reflection_.*add)(&message_, &field_, number);
    } else {
      (reflection_.*set)(&message_, &field_, number);
    }
    return OkStatus();
  }
  Status PutReal(const json::value& value, const std::string& path);
  Status PutEnum(const json::value& value, const std::string& path);
  Status PutText(const json::value& value, const std::string& path);

  pb::Message& message_;
  const pb::Reflection& reflection_;
  const pb::FieldDescriptor& field_;
};

Status ReadMessage(const json::value& value, const std::string& path, pb::Message* message);

// {"name": value, …}: each member is an entry of the map.
Status ReadMap(const json::value& value, const std::string& path, pb::Message* message,
               const pb::FieldDescriptor& field) {
  if (!value.is_object()) return Wrong(path, "an object", value);
  const pb::Descriptor& entry_type = *field.message_type();
  for (const auto& member : value.get_object()) {
    const std::string_view key(member.key().data(), member.key().size());
    const std::string place = fmt::format("{}[{}]", path, Quoted(key));
    pb::Message* entry = message->GetReflection()->AddMessage(message, &field);
    MLOS_RETURN_IF_ERROR(Field(entry, *entry_type.map_key())
                             .Put(json::string(key.data(), key.size()), place + " (its key)"));
    MLOS_RETURN_IF_ERROR(Field(entry, *entry_type.map_value()).Put(member.value(), place));
  }
  return OkStatus();
}

Status Field::Put(const json::value& value, const std::string& path) {
  const pb::Reflection& r = reflection_;
  switch (field_.cpp_type()) {
    case Cpp::CPPTYPE_MESSAGE:
      return ReadMessage(value, path,
                         field_.is_repeated() ? r.AddMessage(&message_, &field_)
                                              : r.MutableMessage(&message_, &field_));
    case Cpp::CPPTYPE_INT32:
      return PutWhole<int32_t>(value, path, &pb::Reflection::SetInt32, &pb::Reflection::AddInt32);
    case Cpp::CPPTYPE_INT64:
      return PutWhole<int64_t>(value, path, &pb::Reflection::SetInt64, &pb::Reflection::AddInt64);
    case Cpp::CPPTYPE_UINT32:
      return PutWhole<uint32_t>(value, path, &pb::Reflection::SetUInt32,
                                &pb::Reflection::AddUInt32);
    case Cpp::CPPTYPE_UINT64:
      return PutWhole<uint64_t>(value, path, &pb::Reflection::SetUInt64,
                                &pb::Reflection::AddUInt64);
    case Cpp::CPPTYPE_FLOAT:
    case Cpp::CPPTYPE_DOUBLE:
      return PutReal(value, path);
    case Cpp::CPPTYPE_BOOL:
      if (!value.is_bool()) return Wrong(path, "true or false", value);
      if (field_.is_repeated()) {
        r.AddBool(&message_, &field_, value.get_bool());
      } else {
        r.SetBool(&message_, &field_, value.get_bool());
      }
      return OkStatus();
    case Cpp::CPPTYPE_ENUM:
      return PutEnum(value, path);
    case Cpp::CPPTYPE_STRING:
      return PutText(value, path);
  }
  return OkStatus();
}

Status Field::PutReal(const json::value& value, const std::string& path) {
  double number = 0;
  if (!Real(value, &number)) return Wrong(path, "a number", value);
  if (field_.cpp_type() == Cpp::CPPTYPE_FLOAT) {
    if (std::isfinite(number) && std::abs(number) > std::numeric_limits<float>::max()) {
      return Wrong(path, "a number of 32 bits", value);
    }
    const auto narrow = static_cast<float>(number);
    if (field_.is_repeated()) {
      reflection_.AddFloat(&message_, &field_, narrow);
    } else {
      reflection_.SetFloat(&message_, &field_, narrow);
    }
  } else if (field_.is_repeated()) {
    reflection_.AddDouble(&message_, &field_, number);
  } else {
    reflection_.SetDouble(&message_, &field_, number);
  }
  return OkStatus();
}

Status Field::PutEnum(const json::value& value, const std::string& path) {
  const pb::EnumDescriptor& type = *field_.enum_type();
  const pb::EnumValueDescriptor* found = nullptr;
  int32_t number = 0;
  if (value.is_string()) {
    found = type.FindValueByName(std::string(View(value.get_string())));
  } else if (Whole(value, &number)) {
    found = type.FindValueByNumber(number);
  }
  if (found == nullptr) {
    std::string names;
    for (int i = 0; i < type.value_count(); ++i) {
      names += (i == 0 ? "" : ", ") + type.value(i)->name();
    }
    return Wrong(path, "one of " + names, value);
  }
  if (field_.is_repeated()) {
    reflection_.AddEnum(&message_, &field_, found);
  } else {
    reflection_.SetEnum(&message_, &field_, found);
  }
  return OkStatus();
}

Status Field::PutText(const json::value& value, const std::string& path) {
  if (!value.is_string()) return Wrong(path, "a text", value);
  std::string text(View(value.get_string()));
  if (field_.is_repeated()) {
    reflection_.AddString(&message_, &field_, std::move(text));
  } else {
    reflection_.SetString(&message_, &field_, std::move(text));
  }
  return OkStatus();
}

const pb::FieldDescriptor* FindField(const pb::Descriptor& type, const std::string& name) {
  const pb::FieldDescriptor* field = type.FindFieldByName(name);
  return field != nullptr ? field : type.FindFieldByCamelcaseName(name);
}

Status ReadMember(const json::value& value, const std::string& path, pb::Message* message,
                  const pb::FieldDescriptor& field) {
  const pb::OneofDescriptor* choice = field.real_containing_oneof();
  if (choice != nullptr && message->GetReflection()->HasOneof(*message, choice)) {
    return InvalidArgument(
        fmt::format("{} and another choice of {} exclude each other", path, choice->name()));
  }
  if (field.is_map()) return ReadMap(value, path, message, field);
  Field target(message, field);
  if (!field.is_repeated()) return target.Put(value, path);
  if (!value.is_array()) return Wrong(path, "an array", value);
  size_t index = 0;
  for (const json::value& item : value.get_array()) {
    MLOS_RETURN_IF_ERROR(target.Put(item, fmt::format("{}[{}]", path, index++)));
  }
  return OkStatus();
}

Status ReadMessage(const json::value& value, const std::string& path, pb::Message* message) {
  const pb::Descriptor& type = *message->GetDescriptor();
  if (&type == inference::ModelParameter::descriptor() && !value.is_object() && !value.is_null() &&
      !value.is_array()) {
    const std::string text =
        value.is_string() ? std::string(View(value.get_string())) : json::serialize(value);
    message->GetReflection()->SetString(message, type.field(0), text);
    return OkStatus();
  }
  if (!value.is_object()) return Wrong(path.empty() ? "a configuration" : path, "an object", value);
  std::set<const pb::FieldDescriptor*> given;
  for (const auto& member : value.get_object()) {
    const std::string name(member.key());
    const pb::FieldDescriptor* field = FindField(type, name);
    const std::string_view dot = path.empty() ? "" : ".";
    if (field == nullptr) {
      return InvalidArgument(fmt::format("{}{}{} is no field of {}{}", path, dot, Quoted(name),
                                         type.name(), FieldNames(type, name)));
    }
    if (member.value().is_null()) continue;
    if (!given.insert(field).second) {
      return InvalidArgument(fmt::format("{}{}{} is given twice, as {} and as {}", path, dot,
                                         field->name(), field->name(), field->camelcase_name()));
    }
    MLOS_RETURN_IF_ERROR(
        ReadMember(member.value(), path + std::string(dot) + field->name(), message, *field));
  }
  return OkStatus();
}

}  // namespace

StatusOr<inference::ModelConfig> FromJson(const json::object& object) {
  inference::ModelConfig config;
  MLOS_RETURN_IF_ERROR(ReadMessage(json::value(object), "", &config));
  MLOS_RETURN_IF_ERROR(Validate(config));
  return config;
}

StatusOr<inference::ModelConfig> ParseJson(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return InvalidArgument(
        fmt::format("it has {} bytes, more than {}", text.size(), kMaxTextBytes));
  }
  const StatusOr<json::value> parsed = mlos::ParseJson(text);
  if (!parsed.ok()) return Annotate(parsed.status(), "it is not JSON");
  const json::value& value = *parsed;
  if (!value.is_object()) return Wrong("a configuration", "an object", value);
  return FromJson(value.get_object());
}

}  // namespace mlos::modelconfig
