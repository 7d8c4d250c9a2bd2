// SPDX-License-Identifier: Apache-2.0
#include "operations/proto_document.h"

#include <set>

#include "operations/objects.h"
#include "operations/table_check.h"

namespace mlos::operations {
namespace {

constexpr std::string_view kHead =
    "// SPDX-License-Identifier: Apache-2.0\n"
    "//\n"
    "// The control actions over gRPC.  Made by mlos from the tables that it is built from; a "
    "test\n"
    "// compares.  What takes long answers with a stream: that it goes on, and at last, with "
    "`done`,\n"
    "// how it ended.\n"
    "syntax = \"proto3\";\n"
    "\n"
    "package mlos.v1;\n"
    "\n"
    "import \"google/protobuf/struct.proto\";\n";

std::string_view TypeOf(Type type) {
  switch (type) {
    case Type::kInteger:
      return "uint64";
    case Type::kBoolean:
      return "bool";
    case Type::kObject:
      return "google.protobuf.Struct";
    default:
      return "string";
  }
}

void AppendField(std::string_view label, std::string_view type, std::string_view name,
                 uint32_t number, std::string_view help, std::string* out) {
  if (!help.empty()) {
    *out += "  // ";
    *out += help;
    *out += ".\n";
  }
  *out += "  ";
  *out += label;
  *out += type;
  *out += ' ';
  *out += name;
  *out += " = ";
  *out += std::to_string(number);
  *out += ";\n";
}

void AppendRequest(const OperationRow& row, std::string* out) {
  *out += "\nmessage ";
  *out += MethodName(row);
  *out += "Request {\n";
  if (HasParameter(row, "NAME")) AppendField("", "string", "name", kNameNumber, {}, out);
  if (HasParameter(row, "VERSION")) AppendField("", "string", "version", kVersionNumber, {}, out);
  for (const Field& field : row.fields) {
    const bool message = field.type == Type::kObject;
    AppendField(field.required() || message ? "" : "optional ", TypeOf(field.type), field.name,
                field.number, field.help, out);
  }
  *out += "}\n";
}

void AppendObject(const ObjectRow& row, std::string* out) {
  *out += "\n// ";
  *out += row.help;
  *out += ".\nmessage ";
  *out += row.name;
  *out += " {\n";
  if (row.members.empty()) {
    AppendField("", TypeOf(Type::kObject), "document", kDocumentNumber, {}, out);
  }
  for (const Member& member : row.members) {
    const std::string_view type =
        member.of == ObjectKind::kUnset ? TypeOf(member.type) : Object(member.of).name;
    const bool message = member.type == Type::kObject;
    AppendField(member.is == Is::kList                   ? "repeated "
                : member.is == Is::kNullable && !message ? "optional "
                                                         : "",
                type, member.name, member.number, member.help, out);
  }
  *out += "}\n";
}

void AppendProgress(const ObjectRow& row, std::string* out) {
  *out += "\nmessage ";
  *out += row.name;
  *out += "Progress {\n";
  AppendField("", TypeOf(Type::kBoolean), "done", kDoneNumber, {}, out);
  AppendField("", row.name, "object", kObjectNumber, {}, out);
  *out += "}\n";
}

}  // namespace

std::string_view MethodName(const OperationRow& row) {
  return row.grpc_method.substr(row.grpc_method.find('/') + 1);
}

std::string ProtoDocument() {
  std::string out(kHead);
  out += "\nservice Management {\n";
  for (const OperationRow& row : Operations()) {
    const std::string name(MethodName(row));
    out += "  // ";
    out += row.help;
    out += ".\n  rpc ";
    out += name;
    out += "(" + name + "Request) returns (";
    out += row.can_wait() ? "stream " : "";
    out += Object(row.answers).name;
    out += row.can_wait() ? "Progress" : "";
    out += ");\n";
  }
  out += "}\n";
  std::set<ObjectKind> long_ones;
  for (const OperationRow& row : Operations()) {
    AppendRequest(row, &out);
    if (row.can_wait()) long_ones.insert(row.answers);
  }
  for (const ObjectRow& row : Objects()) {
    AppendObject(row, &out);
    if (long_ones.count(row.kind) > 0) AppendProgress(row, &out);
  }
  return out;
}

}  // namespace mlos::operations
