// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/call_parameters.h"

#include <algorithm>
#include <functional>

#include "frontends/common/infer_plan.h"
#include "tensor/message.h"

namespace mlos::frontend {

void CallParameters::ClearParameters() {
  timeout_us = 0;
  in_sequence = false;
  parameters.clear();
  parameter_keys.clear();
}

Status GivenTwice(std::string_view name) {
  return InvalidArgument("parameter " + Quote(name) + " is given twice");
}

Status MarkParameter(std::string_view name, CallParameters* to) {
  auto& seen = to->parameter_keys;
  const size_t hash = std::hash<std::string_view>()(name);
  if (std::find(seen.begin(), seen.end(), hash) != seen.end()) return GivenTwice(name);
  seen.push_back(hash);
  return OkStatus();
}

Status AddCustom(std::string_view quoted_name, std::string_view value, CallParameters* to) {
  std::string& out = to->parameters;
  out += out.empty() ? '{' : ',';
  out += quoted_name;
  out += ':';
  out += value;
  if (out.size() < tensor::kMaxParameterBytes) return OkStatus();
  return InvalidArgument("the parameters are longer than " +
                         std::to_string(tensor::kMaxParameterBytes) + " bytes");
}

void EndCustom(CallParameters* to) {
  if (!to->parameters.empty()) to->parameters += '}';
}

Status ReservedName(std::string_view name) {
  return InvalidArgument("parameter " + Quote(name) +
                         ": names that begin with 'triton_' are reserved");
}

Status CheckPlace(const RegionPlace& place) {
  if (!place.given() || (place.name && place.bytes)) return OkStatus();
  return InvalidArgument(
      "shared memory needs \"shared_memory_region\" and \"shared_memory_byte_size\"");
}

}  // namespace mlos::frontend
