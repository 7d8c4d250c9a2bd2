// SPDX-License-Identifier: Apache-2.0
//
// The parameters of an inference request that the protocol reserves, whatever
// form they come in: which ones there are, what kind of value each has, and that
// none is given twice.  A `Value` is one parameter's value as the protocol has it:
//
//   Status Uint(uint64_t*), Bool(bool*), Text(std::string_view*)
//   Status SequenceId(bool* in_sequence)    0 and "" are no sequence
//
// Values and functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "frontends/common/call_tensors.h"

namespace mlos::frontend {

// Of a request.
struct CallParameters {
  uint64_t timeout_us = 0;             // 0: none given
  bool in_sequence = false;            // a sequence_id other than none
  std::string parameters;              // custom ones, as a JSON object; or empty
  std::vector<size_t> parameter_keys;  // hashes of the names so far: none comes twice

  void ClearParameters();
};

Status GivenTwice(std::string_view name);
// Two readers of an object that has a name twice would not agree on what it
// says.  Names that are not known land in `parameters`, which is bounded, and the
// others are few: the list stays short.
Status MarkParameter(std::string_view name, CallParameters* to);
// Both are JSON; EndCustom comes when all are read.
Status AddCustom(std::string_view quoted_name, std::string_view value, CallParameters* to);
void EndCustom(CallParameters* to);

// A marked parameter.  False: it is a custom one.
template <typename Value>
StatusOr<bool> ReadReserved(std::string_view name, Value&& value, CallParameters* to);

// Where a tensor is in a client's shared memory; other parameters are ignored.
template <typename Value>
Status ReadPlace(std::string_view name, Value&& value, RegionPlace* place);
// When all of a tensor are read.
Status CheckPlace(const RegionPlace& place);

// ------------------------------------------------------------------ templates

// Names that begin so and are not known.
Status ReservedName(std::string_view name);

template <typename Value>
StatusOr<bool> ReadReserved(std::string_view name, Value&& value, CallParameters* to) {
  uint64_t number = 0;
  bool flag = false;
  Status status;
  if (name == "timeout") {
    status = value.Uint(&to->timeout_us);
  } else if (name == "priority") {
    status = value.Uint(&number);  // one class for all, so far
  } else if (name == "sequence_id") {
    status = value.SequenceId(&to->in_sequence);
  } else if (name == "sequence_start" || name == "sequence_end") {
    status = value.Bool(&flag);
  } else if (name.substr(0, 7) == "triton_") {
    status = ReservedName(name);
  } else if (name != "headers") {
    return false;
  }
  if (!status.ok()) return status;
  return true;
}

template <typename Value>
Status ReadPlace(std::string_view name, Value&& value, RegionPlace* place) {
  if (name == "shared_memory_region") {
    return place->name ? GivenTwice(name) : value.Text(&place->name.emplace());
  }
  if (name == "shared_memory_byte_size") {
    return place->bytes ? GivenTwice(name) : value.Uint(&place->bytes.emplace());
  }
  if (name == "shared_memory_offset") {
    return place->offset ? GivenTwice(name) : value.Uint(&place->offset.emplace());
  }
  return OkStatus();
}

}  // namespace mlos::frontend
