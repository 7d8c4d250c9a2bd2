// SPDX-License-Identifier: Apache-2.0
#include "operations/struct_codec.h"

#include <bit>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cmath>

#include "base/protobuf_reader.h"
#include "base/protobuf_writer.h"
#include "base/utf8.h"

namespace mlos::operations {
namespace json = boost::json;
namespace {

// As for a body of JSON.
constexpr int kMaxDepth = 32;
// Every whole number up to this one is a double.
constexpr double kLargestWhole = 9007199254740992.0;

// The numbers of the fields in google/protobuf/struct.proto.
namespace field {
constexpr uint32_t kEntry = 1;  // of a Struct
constexpr uint32_t kKey = 1;    // of an entry
constexpr uint32_t kEntryValue = 2;
constexpr uint32_t kNull = 1;  // of a Value
constexpr uint32_t kNumber = 2;
constexpr uint32_t kText = 3;
constexpr uint32_t kBoolean = 4;
constexpr uint32_t kStruct = 5;
constexpr uint32_t kList = 6;
constexpr uint32_t kElement = 1;  // of a ListValue
}  // namespace field

std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

// The one field of a Value; also where it is empty, which says what kind it is.
void AppendValue(const json::value& value, Buffer* out) {
  switch (value.kind()) {
    case json::kind::null:
      return AppendNumber(field::kNull, 0, out);
    case json::kind::bool_:
      return AppendNumber(field::kBoolean, value.get_bool() ? 1 : 0, out);
    case json::kind::int64:
      return AppendDouble(field::kNumber, static_cast<double>(value.get_int64()), out);
    case json::kind::uint64:
      return AppendDouble(field::kNumber, static_cast<double>(value.get_uint64()), out);
    case json::kind::double_:
      return AppendDouble(field::kNumber, value.get_double(), out);
    case json::kind::string: {
      const std::string_view text = View(value.get_string());
      AppendFieldHead(field::kText, text.size(), out);
      return out->Append(text);
    }
    case json::kind::object: {
      Buffer inner;
      AppendStruct(value.get_object(), &inner);
      return AppendMessage(field::kStruct, inner.view(), out);
    }
    case json::kind::array: {
      Buffer list;
      Buffer element;
      for (const json::value& each : value.get_array()) {
        element.Clear();
        AppendValue(each, &element);
        AppendMessage(field::kElement, element.view(), &list);
      }
      return AppendMessage(field::kList, list.view(), out);
    }
  }
}

Status NoStruct() {
  return InvalidArgument("an object in the request is no google.protobuf.Struct");
}

Status ReadNumber(uint64_t bits, json::value* value) {
  const auto number = std::bit_cast<double>(bits);
  if (!std::isfinite(number)) {
    return InvalidArgument("a number in an object is not finite");
  }
  const bool whole = std::fabs(number) <= kLargestWhole && std::trunc(number) == number;
  if (whole && !(number == 0 && std::signbit(number))) {
    *value = static_cast<int64_t>(number);
  } else {
    *value = number;
  }
  return OkStatus();
}

Status ReadText(std::string_view text, json::value* value) {
  if (!IsUtf8(text)) return InvalidArgument("a text in an object is not valid UTF-8");
  *value = json::string_view(text.data(), text.size());
  return OkStatus();
}

// There may be a million of them: none is moved once it is read.
Status ReadMembers(std::string_view message, int depth, json::object* object);
Status ReadValue(std::string_view message, int depth, json::value* value);

Status ReadList(std::string_view message, int depth, json::array* list) {
  if (depth == 0) return InvalidArgument("an object is nested too deeply");
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number != field::kElement || field.type != WireType::kBytes) continue;
    MLOS_RETURN_IF_ERROR(ReadValue(field.bytes, depth, &list->emplace_back(nullptr)));
  }
  return reader.bad() ? NoStruct() : OkStatus();
}

Status ReadKind(const WireField& field, int depth, json::value* value) {
  switch (field.number) {
    case field::kNumber:
      return ReadNumber(field.value, value);
    case field::kText:
      return ReadText(field.bytes, value);
    case field::kBoolean:
      *value = field.value != 0;
      return OkStatus();
    case field::kStruct:
      return ReadMembers(field.bytes, depth - 1, &value->emplace_object());
    case field::kList:
      return ReadList(field.bytes, depth - 1, &value->emplace_array());
    default:
      *value = nullptr;
      return OkStatus();
  }
}

WireType TypeOfKind(uint32_t number) {
  switch (number) {
    case field::kNull:
    case field::kBoolean:
      return WireType::kVarint;
    case field::kNumber:
      return WireType::kFixed64;
    default:
      return WireType::kBytes;
  }
}

// The last of its kinds counts; one without any is null.
Status ReadValue(std::string_view message, int depth, json::value* value) {
  *value = nullptr;
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number > field::kList || field.type != TypeOfKind(field.number)) continue;
    MLOS_RETURN_IF_ERROR(ReadKind(field, depth, value));
  }
  return reader.bad() ? NoStruct() : OkStatus();
}

Status ReadEntry(std::string_view message, int depth, json::object* object) {
  std::string_view key;
  std::string_view value;
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.type != WireType::kBytes) continue;
    if (field.number == field::kKey) key = field.bytes;
    if (field.number == field::kEntryValue) value = field.bytes;
  }
  if (reader.bad()) return NoStruct();
  if (!IsUtf8(key)) return InvalidArgument("a name in an object is not valid UTF-8");
  return ReadValue(value, depth, &(*object)[json::string_view(key.data(), key.size())]);
}

Status ReadMembers(std::string_view message, int depth, json::object* object) {
  if (depth == 0) return InvalidArgument("an object is nested too deeply");
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number != field::kEntry || field.type != WireType::kBytes) continue;
    MLOS_RETURN_IF_ERROR(ReadEntry(field.bytes, depth, object));
  }
  return reader.bad() ? NoStruct() : OkStatus();
}

}  // namespace

void AppendStruct(const json::object& object, Buffer* out) {
  Buffer entry;
  Buffer value;
  for (const auto& member : object) {
    entry.Clear();
    value.Clear();
    AppendString(field::kKey, View(member.key()), &entry);
    AppendValue(member.value(), &value);
    AppendMessage(field::kEntryValue, value.view(), &entry);
    AppendMessage(field::kEntry, entry.view(), out);
  }
}

Status ReadStruct(std::string_view message, json::object* object) {
  return ReadMembers(message, kMaxDepth, object);
}

}  // namespace mlos::operations
