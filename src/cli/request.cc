// SPDX-License-Identifier: Apache-2.0
#include "cli/request.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>

#include "base/name.h"
#include "cli/infer_body.h"
#include "operations/body.h"
#include "operations/table_check.h"

namespace mlos::cli {
namespace json = boost::json;

using operations::Field;
using operations::OperationRow;

namespace {

std::string UpperCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

// The daemon has another working directory, and wants whole paths.
std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  std::string out = error ? path : absolute.lexically_normal().string();
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

StatusOr<json::value> Named(const Field& field, StatusOr<json::value> value) {
  if (value.ok()) return value;
  return Annotate(value.status(), FlagName(field));
}

StatusOr<json::value> ValueOf(const Field& field, const std::string& text) {
  if (field.type == operations::Type::kPath) return json::value(Absolute(text));
  if (field.type == operations::Type::kObject && !text.empty() && text[0] == '@') {
    MLOS_ASSIGN_OR_RETURN(const std::string file, ReadFile(text.substr(1)));
    return Named(field, operations::ReadParameter(field.type, file));
  }
  return Named(field, operations::ReadParameter(field.type, text));
}

std::string QueryText(const json::value& value) {
  return PercentEncode(value.is_string() ? std::string(value.get_string())
                                         : json::serialize(value));
}

// What no plugin or model can be called is not asked for.  A version may be a
// semantic one, with '+'.
Status CheckPathPiece(std::string_view parameter, const std::string& value) {
  std::string plain = value;
  std::replace(plain.begin(), plain.end(), '+', '-');
  return ValidateName(UpperCase(parameter), parameter == "version" ? plain : value);
}

std::string PathOf(const OperationRow& row, const operations::RequestMessage& message) {
  std::string path;
  for (size_t i = 1; i < operations::CountPieces(row.http_path, '/'); ++i) {
    const std::string_view segment = operations::Piece(row.http_path, '/', i);
    const std::string_view parameter = operations::ParameterIn(segment);
    path += "/";
    path += parameter.empty()     ? std::string(segment)
            : parameter == "name" ? PercentEncode(message.name)
                                  : PercentEncode(message.version);
  }
  return path;
}

// The value of an argument that stands in the path.
Status ReadPathPiece(std::string_view parameter, const Invocation& invocation,
                     const std::string& otherwise, std::string* value) {
  *value = invocation.Value(UpperCase(parameter));
  if (value->empty()) *value = otherwise;
  if (value->empty()) return InvalidArgument(UpperCase(parameter) + " must be given");
  return CheckPathPiece(parameter, *value);
}

std::string PathOfModel(const std::string& model, const std::string& version) {
  const std::string path = "/v2/models/" + PercentEncode(model);
  return version.empty() ? path : path + "/versions/" + PercentEncode(version);
}

}  // namespace

const OperationRow& ChooseRow(const Invocation& invocation) {
  const std::vector<const OperationRow*>& rows = invocation.command->rows;
  size_t given = 0;
  for (const Argument& argument : invocation.command->arguments) {
    given += invocation.Has(argument.name) ? 1 : 0;
  }
  for (const OperationRow* row : rows) {
    if (operations::CountArguments(row->cli) >= given) return *row;
  }
  return *rows.back();
}

StatusOr<Request> BuildRequest(const OperationRow& row, const Invocation& invocation,
                               const std::string& version) {
  operations::RequestMessage message;
  if (operations::HasParameter(row, "NAME")) {
    MLOS_RETURN_IF_ERROR(ReadPathPiece("name", invocation, {}, &message.name));
  }
  if (operations::HasParameter(row, "VERSION")) {
    MLOS_RETURN_IF_ERROR(ReadPathPiece("version", invocation, version, &message.version));
  }
  json::object& members = message.members;
  std::string query;
  for (const Field& field : row.fields) {
    const bool positional = field.cli == operations::CliForm::kPositional;
    const std::string name = positional ? UpperCase(field.name) : FlagName(field);
    if (!invocation.Has(name)) continue;
    MLOS_ASSIGN_OR_RETURN(json::value value, ValueOf(field, invocation.Value(name)));
    if (field.in == operations::In::kQuery) {
      query += (query.empty() ? "?" : "&") + std::string(field.name) + "=" + QueryText(value);
    }
    members[json::string_view(field.name.data(), field.name.size())] = std::move(value);
  }
  MLOS_RETURN_IF_ERROR(operations::CheckMembers(row, members));
  Request request = RequestFor(row.kind);
  request.wait = !row.can_wait() || !invocation.Has("--no-wait");
  if (!request.wait) query += std::string(query.empty() ? "?" : "&") + "wait=false";
  request.path = PathOf(row, message) + query;
  if (row.takes_body()) {
    json::object body = members;
    for (const Field& field : row.fields) {
      if (field.in == operations::In::kQuery) body.erase(json::string_view(field.name));
    }
    request.body = json::serialize(body);
  }
  request.message = std::move(message);
  return request;
}

Request RequestFor(operations::OperationKind kind, const std::string& name,
                   const std::string& version) {
  Request request;
  request.row = &operations::Row(kind);
  request.message.name = name;
  request.message.version = version;
  request.method = request.row->http_method;
  request.path = PathOf(*request.row, request.message);
  return request;
}

Request InferRequest(const std::string& model, const std::string& version) {
  Request request;
  request.method = "POST";
  request.path = PathOfModel(model, version) + "/infer";
  request.model = model;
  request.version = version;
  return request;
}

Request DescribeRequest(const std::string& model, const std::string& version) {
  Request request;
  request.method = "GET";
  request.path = PathOfModel(model, version);
  request.model = model;
  request.version = version;
  return request;
}

std::string PercentEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace mlos::cli
