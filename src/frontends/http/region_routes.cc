// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/region_routes.h"

#include <boost/json/object.hpp>
#include <string>

#include "frontends/common/client_regions.h"
#include "frontends/http/management_handler.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using frontend::kAnonymous;
using frontend::RegionPin;

Status ReadSize(const json::object& object, std::string_view member, uint64_t* to) {
  const json::value* value = object.if_contains({member.data(), member.size()});
  if (value == nullptr) return NotFound({});
  if (value->is_uint64()) {
    *to = value->get_uint64();
  } else if (value->is_int64() && value->get_int64() >= 0) {
    *to = static_cast<uint64_t>(value->get_int64());
  } else {
    return InvalidArgument("\"" + std::string(member) + "\" is not a non-negative integer");
  }
  return OkStatus();
}

Status Register(std::string_view name, frontend::RegionTable& regions, const Body& body) {
  json::object object;
  MLOS_RETURN_IF_ERROR(ParseObjectBody(body, true, &object));
  const json::value* key = object.if_contains("key");
  if (key == nullptr || !key->is_string()) {
    return InvalidArgument("\"key\", the name of the shared memory object, is missing or no text");
  }
  uint64_t offset = 0;
  uint64_t bytes = 0;
  if (Status read = ReadSize(object, "offset", &offset);
      !read.ok() && read.code() != StatusCode::kNotFound) {
    return read;
  }
  if (Status read = ReadSize(object, "byte_size", &bytes); !read.ok()) {
    return read.code() == StatusCode::kNotFound ? InvalidArgument("\"byte_size\" is missing")
                                                : read;
  }
  const json::string& text = key->get_string();
  return regions.Register(kAnonymous, name, {text.data(), text.size()}, offset, bytes);
}

void AppendRegion(const frontend::Region& region, Buffer* out) {
  out->Append("{\"name\":");
  tensor::AppendJsonString(region.name(), out);
  out->Append(",\"key\":");
  tensor::AppendJsonString(region.key(), out);
  // An object's size, and so what is in it, fits a signed number.
  out->Append(",\"offset\":");
  tensor::AppendJsonInt(static_cast<int64_t>(region.offset()), out);
  out->Append(",\"byte_size\":");
  tensor::AppendJsonInt(static_cast<int64_t>(region.bytes()), out);
  out->Append('}');
}

void AnswerStatus(std::string_view name, const frontend::RegionTable& regions, Response* response) {
  bool found = false;
  response->body.Append('[');
  for (const RegionPin& region : regions.List(kAnonymous)) {
    if (!name.empty() && region->name() != name) continue;
    if (found) response->body.Append(',');
    AppendRegion(*region, &response->body);
    found = true;
  }
  response->body.Append(']');
  if (!found && !name.empty()) response->Error(frontend::NoSuchRegion(name));
}

}  // namespace

void AnswerRegions(Target target, std::string_view name, frontend::RegionTable& regions,
                   const Body& body, Response* response) {
  Status status;
  switch (target) {
    case Target::kRegionStatus:
      return AnswerStatus(name, regions, response);
    case Target::kRegionRegister:
      status = Register(name, regions, body);
      break;
    case Target::kRegionUnregister:
      status =
          name.empty() ? regions.UnregisterAll(kAnonymous) : regions.Unregister(kAnonymous, name);
      break;
    case Target::kCudaStatus:
      if (name.empty()) return response->body.Append("[]");
      status = frontend::NoSuchRegion(name);
      break;
    case Target::kCudaRegister:
      status = frontend::NoCudaRegions();
      break;
    default:  // unregistering what cannot be there
      break;
  }
  if (!status.ok()) response->Error(status);
}

}  // namespace mlos::http
