// SPDX-License-Identifier: Apache-2.0
#include "operations/message_codec.h"

#include <boost/json/array.hpp>
#include <utility>

#include "base/buffer.h"
#include "base/protobuf_reader.h"
#include "base/protobuf_writer.h"
#include "base/utf8.h"
#include "operations/objects.h"
#include "operations/proto_document.h"
#include "operations/struct_codec.h"
#include "operations/table_check.h"

namespace mlos::operations {
namespace json = boost::json;
namespace {

Status NoMessage() {
  return InvalidArgument("the bytes are not the message that this method takes");
}

std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

uint64_t NumberOf(const json::value& value) {
  if (value.is_uint64()) return value.get_uint64();
  return value.is_int64() && value.get_int64() > 0 ? static_cast<uint64_t>(value.get_int64()) : 0;
}

// A value of that type; of another one as nothing.
void AppendScalar(uint32_t number, Type type, const json::value& value, Buffer* out) {
  switch (type) {
    case Type::kInteger:
      return AppendNumber(number, NumberOf(value), out);
    case Type::kBoolean:
      return AppendNumber(number, value.is_bool() && value.get_bool() ? 1 : 0, out);
    case Type::kObject: {
      Buffer inner;
      if (value.is_object()) AppendStruct(value.get_object(), &inner);
      return AppendMessage(number, inner.view(), out);
    }
    default:
      if (value.is_string()) return AppendMessage(number, View(value.get_string()), out);
      // A model's version may be a number.
      return AppendMessage(number, std::to_string(NumberOf(value)), out);
  }
}

WireType WireTypeOf(Type type) {
  return type == Type::kInteger || type == Type::kBoolean ? WireType::kVarint : WireType::kBytes;
}

StatusOr<json::value> ReadText(std::string_view text) {
  if (!IsUtf8(text)) return InvalidArgument("a text in the message is not valid UTF-8");
  return json::value(json::string_view(text.data(), text.size()));
}

StatusOr<json::value> ReadScalar(Type type, const WireField& field) {
  switch (type) {
    case Type::kInteger:
      return json::value(field.value);
    case Type::kBoolean:
      return json::value(field.value != 0);
    case Type::kObject: {
      json::object object;
      MLOS_RETURN_IF_ERROR(ReadStruct(field.bytes, &object));
      return json::value(std::move(object));
    }
    default:
      return ReadText(field.bytes);
  }
}

const Field* FieldOf(const OperationRow& row, const WireField& wire) {
  for (const Field& field : row.fields) {
    if (field.number == wire.number && WireTypeOf(field.type) == wire.type) return &field;
  }
  return nullptr;
}

void AppendObject(ObjectKind kind, const json::value& value, Buffer* out) {
  const ObjectRow& row = Object(kind);
  if (row.members.empty()) return AppendScalar(kDocumentNumber, Type::kObject, value, out);
  if (!value.is_object()) return;
  const auto append = [out](const Member& member, const json::value& each) {
    if (member.of == ObjectKind::kUnset) {
      return AppendScalar(member.number, member.type, each, out);
    }
    Buffer inner;
    AppendObject(member.of, each, &inner);
    AppendMessage(member.number, inner.view(), out);
  };
  for (const Member& member : row.members) {
    const json::value* there =
        value.get_object().if_contains({member.name.data(), member.name.size()});
    if (there == nullptr || there->is_null()) continue;
    if (member.is != Is::kList) {
      append(member, *there);
    } else if (there->is_array()) {
      for (const json::value& each : there->get_array()) append(member, each);
    }
  }
}

// What a member is that is not in the message.
json::value Absent(const Member& member) {
  if (member.is == Is::kList) return json::array();
  if (member.is == Is::kNullable) return nullptr;
  switch (member.type) {
    case Type::kInteger:
      return uint64_t{0};
    case Type::kBoolean:
      return false;
    case Type::kObject:
      return json::object();
    default:
      return json::string();
  }
}

StatusOr<json::value> ReadObject(ObjectKind kind, std::string_view message);

Status ReadMember(const Member& member, const WireField& field, json::value* value) {
  StatusOr<json::value> read = member.of == ObjectKind::kUnset ? ReadScalar(member.type, field)
                                                               : ReadObject(member.of, field.bytes);
  if (!read.ok()) return read.status();
  if (member.is == Is::kList) {
    value->get_array().push_back(*std::move(read));
  } else {
    *value = *std::move(read);
  }
  return OkStatus();
}

StatusOr<json::value> ReadDocument(std::string_view message) {
  json::object document;
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number != kDocumentNumber || field.type != WireType::kBytes) continue;
    MLOS_RETURN_IF_ERROR(ReadStruct(field.bytes, &document));
  }
  if (reader.bad()) return NoMessage();
  return json::value(std::move(document));
}

StatusOr<json::value> ReadObject(ObjectKind kind, std::string_view message) {
  const ObjectRow& row = Object(kind);
  if (row.members.empty()) return ReadDocument(message);
  json::object object;
  for (const Member& member : row.members) {
    object[json::string_view(member.name.data(), member.name.size())] = Absent(member);
  }
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    for (const Member& member : row.members) {
      if (member.number != field.number || WireTypeOf(member.type) != field.type) continue;
      json::value& value = object[json::string_view(member.name.data(), member.name.size())];
      MLOS_RETURN_IF_ERROR(ReadMember(member, field, &value));
    }
  }
  if (reader.bad()) return NoMessage();
  return json::value(std::move(object));
}

}  // namespace

std::string EncodeRequest(const OperationRow& row, const RequestMessage& request) {
  Buffer out;
  AppendString(kNameNumber, request.name, &out);
  AppendString(kVersionNumber, request.version, &out);
  for (const Field& field : row.fields) {
    const json::value* value = request.members.if_contains({field.name.data(), field.name.size()});
    if (value != nullptr) AppendScalar(field.number, field.type, *value, &out);
  }
  return std::string(out.view());
}

StatusOr<RequestMessage> DecodeRequest(const OperationRow& row, std::string_view message) {
  RequestMessage request;
  const bool has_name = HasParameter(row, "NAME");
  const bool has_version = HasParameter(row, "VERSION");
  FieldReader reader(message);
  WireField wire;
  while (reader.Next(&wire)) {
    const bool name = has_name && wire.number == kNameNumber;
    const bool version = has_version && wire.number == kVersionNumber;
    if (name || version) {
      if (wire.type != WireType::kBytes) continue;
      if (!IsUtf8(wire.bytes)) {
        return InvalidArgument("a text in the message is not valid UTF-8");
      }
      (name ? request.name : request.version) = wire.bytes;
    } else if (const Field* field = FieldOf(row, wire); field != nullptr) {
      MLOS_ASSIGN_OR_RETURN(
          request.members[json::string_view(field->name.data(), field->name.size())],
          ReadScalar(field->type, wire));
    }
  }
  if (reader.bad()) return NoMessage();
  return request;
}

std::string EncodeAnswer(const OperationRow& row, const AnswerMessage& answer) {
  Buffer object;
  AppendObject(row.answers, answer.body, &object);
  if (!row.can_wait()) return std::string(object.view());
  Buffer out;
  if (answer.done) AppendNumber(kDoneNumber, 1, &out);
  AppendMessage(kObjectNumber, object.view(), &out);
  return std::string(out.view());
}

StatusOr<AnswerMessage> DecodeAnswer(const OperationRow& row, std::string_view message) {
  AnswerMessage answer;
  if (!row.can_wait()) {
    MLOS_ASSIGN_OR_RETURN(answer.body, ReadObject(row.answers, message));
    return answer;
  }
  answer.done = false;
  std::string_view object;
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == kDoneNumber && field.type == WireType::kVarint) {
      answer.done = field.value != 0;
    }
    if (field.number == kObjectNumber && field.type == WireType::kBytes) object = field.bytes;
  }
  if (reader.bad()) return NoMessage();
  MLOS_ASSIGN_OR_RETURN(answer.body, ReadObject(row.answers, object));
  return answer;
}

}  // namespace mlos::operations
