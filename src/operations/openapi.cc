// SPDX-License-Identifier: Apache-2.0
#include "operations/openapi.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "operations/objects.h"
#include "operations/operations.h"
#include "operations/table_check.h"

namespace mlos::operations {
namespace json = boost::json;
namespace {

json::string Text(std::string_view text) { return json::string(text.data(), text.size()); }

json::object Reference(std::string_view schema) {
  return {{"$ref", Text("#/components/schemas/" + std::string(schema))}};
}

json::object TypeSchema(Type type) {
  switch (type) {
    case Type::kInteger:
      return {{"type", "integer"}, {"minimum", 0}};
    case Type::kVersion:
      return {{"oneOf",
               {json::object{{"type", "integer"}, {"minimum", 1}},
                json::object{{"type", "string"}, {"pattern", "^[1-9][0-9]*$"}}}}};
    case Type::kBoolean:
      return {{"type", "boolean"}};
    case Type::kObject:
      return {{"type", "object"}};
    case Type::kPath:
      return {{"type", "string"}, {"pattern", "^/"}};
    case Type::kLogLevel:
      return {{"type", "string"}, {"enum", {"debug", "info", "warning", "error"}}};
    case Type::kName:
      return {{"type", "string"}, {"pattern", "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}};
    case Type::kString:
    case Type::kUnset:
      break;
  }
  return {{"type", "string"}};
}

json::object MemberSchema(const Member& member) {
  json::object schema =
      member.of == ObjectKind::kUnset ? TypeSchema(member.type) : Reference(Object(member.of).name);
  if (!member.values.empty()) {
    json::array values;
    for (size_t i = 0; i < CountPieces(member.values, '|'); ++i) {
      values.push_back(Text(Piece(member.values, '|', i)));
    }
    schema["enum"] = std::move(values);
  }
  if (member.is == Is::kList) schema = {{"type", "array"}, {"items", std::move(schema)}};
  if (member.is == Is::kNullable) schema["type"] = {schema["type"], "null"};
  schema["description"] = Text(member.help);
  return schema;
}

json::object ObjectSchema(const ObjectRow& row) {
  json::object schema{{"type", "object"}, {"description", Text(row.help)}};
  if (row.members.empty()) return schema;
  json::object properties;
  json::array required;
  for (const Member& member : row.members) {
    properties[json::string_view(member.name)] = MemberSchema(member);
    required.push_back(Text(member.name));
  }
  schema["properties"] = std::move(properties);
  schema["required"] = std::move(required);
  return schema;
}

json::object ErrorSchema() {
  json::array codes;
  for (const StatusRow& row : Statuses()) {
    if (!row.code.empty()) codes.push_back(Text(row.code));
  }
  const json::object text{{"type", "string"}};
  json::object hint = text;
  hint["description"] = "What to do next; may be empty";
  json::object error{
      {"type", "object"},
      {"properties",
       json::object{{"code", json::object{{"type", "string"}, {"examples", std::move(codes)}}},
                    {"message", text},
                    {"hint", std::move(hint)}}},
      {"required", {"code", "message", "hint"}}};
  return {{"type", "object"},
          {"description", "Every error has this form"},
          {"properties", json::object{{"error", std::move(error)}}},
          {"required", json::array{"error"}}};
}

json::object BodySchema(const OperationRow& row) {
  json::object properties;
  json::array required;
  for (const Field& field : row.fields) {
    if (field.in != In::kBody) continue;
    json::object schema = TypeSchema(field.type);
    schema["description"] = Text(field.help);
    properties[json::string_view(field.name)] = std::move(schema);
    if (field.required()) required.push_back(Text(field.name));
  }
  json::object schema{
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

json::object JsonContent(json::object schema) {
  return {{"application/json", json::object{{"schema", std::move(schema)}}}};
}

json::object Parameter(std::string_view name, std::string_view in, bool required,
                       json::object schema, std::string_view help) {
  return {{"name", Text(name)},
          {"in", Text(in)},
          {"required", required},
          {"schema", std::move(schema)},
          {"description", Text(help)}};
}

json::array Parameters(const OperationRow& row) {
  json::array list;
  for (size_t i = 0; i < CountPieces(row.http_path, '/'); ++i) {
    const std::string_view name = ParameterIn(Piece(row.http_path, '/', i));
    if (name.empty()) continue;
    list.push_back(Parameter(name, "path", true, TypeSchema(Type::kString),
                             "The " + std::string(name) + " of the object"));
  }
  for (const Field& field : row.fields) {
    if (field.in != In::kQuery) continue;
    list.push_back(
        Parameter(field.name, "query", field.required(), TypeSchema(field.type), field.help));
  }
  if (row.can_wait()) {
    json::object schema = TypeSchema(Type::kBoolean);
    schema["default"] = true;
    list.push_back(Parameter("wait", "query", false, std::move(schema),
                             "false: answer 202 at once, and go on"));
  }
  return list;
}

json::object Responses(const OperationRow& row) {
  json::object responses;
  for (const StatusRow& status : Statuses()) {
    if (!CanAnswer(row, status)) continue;
    const std::string key = std::to_string(status.status);
    if (json::value* same = responses.if_contains(key)) {  // another code, the same status
      std::string both(same->at("description").as_string());
      both += "; or: " + std::string(status.help);
      same->as_object()["description"] = Text(both);
      continue;
    }
    responses[key] = {
        {"description", Text(status.help)},
        {"content",
         JsonContent(Reference(status.code.empty() ? Object(row.answers).name : "Error"))}};
  }
  return responses;
}

json::object OperationObject(const OperationRow& row) {
  json::object out{{"operationId", Text(row.name)},
                   {"summary", Text(row.help)},
                   {"tags", json::array{Text(row.name.substr(0, row.name.find('.')))}}};
  if (json::array parameters = Parameters(row); !parameters.empty()) {
    out["parameters"] = std::move(parameters);
  }
  if (row.takes_body()) {
    out["requestBody"] = {{"required", true}, {"content", JsonContent(BodySchema(row))}};
  }
  out["responses"] = Responses(row);
  out["x-mlos-permission"] = Text(PermissionText(row.permission));
  out["x-mlos-rate-class"] = Text(RateClassName(row.rate));
  out["x-mlos-command"] = Text("mlos " + std::string(row.cli));
  return out;
}

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

json::object OpenApi(std::string_view daemon_version) {
  json::object paths;
  for (const OperationRow& row : Operations()) {
    json::value& path = paths[json::string_view(row.http_path)];
    if (!path.is_object()) path.emplace_object();
    path.as_object()[LowerCase(row.http_method)] = OperationObject(row);
  }
  json::object schemas;
  for (const ObjectRow& row : Objects()) {
    schemas[json::string_view(row.name)] = ObjectSchema(row);
  }
  schemas["Error"] = ErrorSchema();
  json::object token{{"type", "http"},
                     {"scheme", "bearer"},
                     {"description", "A token, where \"auth\" of GET /api/v1/status is required"}};
  return {
      {"openapi", "3.1.0"},
      {"info", json::object{{"title", "mlOS Core management"},
                            {"version", Text(daemon_version)},
                            {"license", json::object{{"name", "Apache License 2.0"},
                                                     {"identifier", "Apache-2.0"}}}}},
      {"paths", std::move(paths)},
      {"components", json::object{{"schemas", std::move(schemas)},
                                  {"securitySchemes", json::object{{"token", std::move(token)}}}}},
      // Either a token or, where none is asked for, nothing.
      {"security", json::array{json::object{{"token", json::array{}}}, json::object{}}}};
}

}  // namespace mlos::operations
