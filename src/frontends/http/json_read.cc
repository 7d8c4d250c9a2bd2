// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/json_read.h"

namespace mlos::http {

namespace od = simdjson::ondemand;

Status JsonOk(simdjson::error_code error) {
  if (error == simdjson::SUCCESS) return OkStatus();
  return InvalidArgument("the request is not valid JSON (" +
                         std::string(simdjson::error_message(error)) + ")");
}

Status ReadString(od::value value, std::string_view what, InferRequest* request,
                  std::string_view* out) {
  const std::string_view token = value.raw_json_token();
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) {
    return InvalidArgument("\"" + std::string(what) + "\" is not a string of valid Unicode");
  }
  // The parser's copy goes when it reads the next document; the body stays.
  const std::string_view raw = token.substr(1, text.size());
  *out = raw == text ? raw : request->Keep(text);
  return OkStatus();
}

Status MarkArray(od::value value, std::string_view* text) {
  od::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) {
    return InvalidArgument("\"data\" is not an array");
  }
  return JsonOk(array.raw_json().get(*text));
}

Status ReadShape(od::value value, tensor::TensorDesc* desc) {
  od::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) {
    return InvalidArgument("\"shape\" is not an array");
  }
  desc->rank = 0;
  for (auto element : array) {
    int64_t dim = 0;
    if (element.get_int64().get(dim) != simdjson::SUCCESS || dim < 0) {
      return InvalidArgument("dimension " + std::to_string(desc->rank) +
                             " of \"shape\" is not an integer from 0 to 9223372036854775807");
    }
    if (desc->rank == tensor::kMaxRank) {
      return InvalidArgument("\"shape\" has more than " + std::to_string(tensor::kMaxRank) +
                             " dimensions");
    }
    desc->dims[desc->rank++] = dim;
  }
  return OkStatus();
}

Status ReadBool(od::value value, std::string_view what, bool* out) {
  if (value.get_bool().get(*out) == simdjson::SUCCESS) return OkStatus();
  return InvalidArgument("parameter \"" + std::string(what) + "\" is not true or false");
}

Status ReadUint(od::value value, std::string_view what, uint64_t* out) {
  if (value.get_uint64().get(*out) == simdjson::SUCCESS) return OkStatus();
  return InvalidArgument("parameter \"" + std::string(what) + "\" is not a non-negative integer");
}

}  // namespace mlos::http
