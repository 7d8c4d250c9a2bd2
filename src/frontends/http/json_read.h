// SPDX-License-Identifier: Apache-2.0
//
// Small readers over simdjson's on-demand values, with errors for people.
// Functions without state.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "frontends/http/infer_request.h"

namespace mlos::http {

// Notices members that come twice: two readers of such an object would not
// agree on what it says.
class Once {
 public:
  Status Mark(uint32_t bit, std::string_view name) {
    if (Has(bit)) return InvalidArgument("\"" + std::string(name) + "\" is given twice");
    seen_ |= 1u << bit;
    return OkStatus();
  }
  bool Has(uint32_t bit) const { return (seen_ >> bit & 1u) != 0; }

 private:
  uint32_t seen_ = 0;
};

Status JsonOk(simdjson::error_code error);

// The view points into the body, or into what the request keeps where the
// string has escapes.
Status ReadString(simdjson::ondemand::value value, std::string_view what, InferRequest* request,
                  std::string_view* out);

// Where an array is; what is in it is not looked at.
Status MarkArray(simdjson::ondemand::value value, std::string_view* text);

// An array of integers from 0 to 2^63-1, at most kMaxRank of them.
Status ReadShape(simdjson::ondemand::value value, tensor::TensorDesc* desc);

Status ReadBool(simdjson::ondemand::value value, std::string_view what, bool* out);
Status ReadUint(simdjson::ondemand::value value, std::string_view what, uint64_t* out);

}  // namespace mlos::http
