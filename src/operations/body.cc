// SPDX-License-Identifier: Apache-2.0
#include "operations/body.h"

#include <fmt/core.h>

#include <boost/json/serialize.hpp>
#include <charconv>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/name.h"
#include "base/near_miss.h"

namespace mlos::operations {
namespace json = boost::json;
namespace {

bool IsModelVersion(std::string_view text) {
  return !text.empty() && text.size() <= 19 && text[0] != '0' &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool HasType(const json::value& value, Type type) {
  switch (type) {
    case Type::kString:
    case Type::kPath:
    case Type::kName:
      return value.is_string();
    case Type::kInteger:
      return value.is_uint64() || (value.is_int64() && value.get_int64() >= 0);
    case Type::kVersion:
      if (value.is_string()) {
        return IsModelVersion({value.get_string().data(), value.get_string().size()});
      }
      return value.is_int64() && value.get_int64() > 0;
    case Type::kBoolean:
      return value.is_bool();
    case Type::kObject:
      return value.is_object();
    case Type::kLogLevel: {
      LogLevel level = LogLevel::kInfo;
      return value.is_string() &&
             ParseLogLevel({value.get_string().data(), value.get_string().size()}, &level);
    }
    case Type::kUnset:
      break;
  }
  return false;
}

Status Unknown(const OperationRow& row, std::string_view name) {
  std::vector<std::string_view> known;
  std::string list;
  for (const Field& field : row.fields) {
    known.push_back(field.name);
    list += (list.empty() ? "" : ", ") + std::string(field.name);
  }
  return InvalidArgument(
      fmt::format("unknown member {}{} (known: {})", Quoted(name), DidYouMean(name, known), list));
}

}  // namespace

Status CheckMembers(const OperationRow& row, const json::object& members) {
  for (const auto& member : members) {
    const std::string_view name(member.key().data(), member.key().size());
    const Field* field = FindField(row, name);
    if (field == nullptr) return Unknown(row, name);
    if (!HasType(member.value(), field->type)) {
      const json::value& v = member.value();
      const std::string text = v.is_string() ? std::string(v.get_string()) : json::serialize(v);
      return InvalidArgument(
          fmt::format("\"{}\" must be {}, not {}", name, TypeText(field->type), Quoted(text)));
    }
    if (field->type == Type::kName) {
      const json::string& text = member.value().get_string();
      MLOS_RETURN_IF_ERROR(ValidateName(fmt::format("\"{}\"", name), {text.data(), text.size()}));
    }
  }
  for (const Field& field : row.fields) {
    if (!field.required() || members.contains(json::string_view(field.name))) continue;
    return InvalidArgument(
        fmt::format("\"{}\" must be given: {}", field.name, TypeText(field.type)));
  }
  return OkStatus();
}

StatusOr<json::value> ReadParameter(Type type, std::string_view text) {
  if (type == Type::kBoolean && (text == "true" || text == "1")) return true;
  if (type == Type::kBoolean && (text == "false" || text == "0")) return false;
  if (type == Type::kInteger) {
    uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && at == end) return number;
  }
  if (type == Type::kObject) {
    StatusOr<json::value> value = ParseJson(text);
    if (value.ok()) return value;
    // What is meant as an object is told what is wrong inside.
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && text[first] == '{') {
      return Annotate(value.status(), "it is not valid JSON");
    }
  }
  return json::string(text.data(), text.size());
}

}  // namespace mlos::operations
