// SPDX-License-Identifier: Apache-2.0
//
// What a request says of its tensors, in any protocol: which ones, and how
// their elements come or go.
//
// Names point to what the request was read from, and stay as long as that.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "frontends/common/client_regions.h"
#include "tensor/message.h"

namespace mlos::frontend {

enum class Form : uint8_t {
  kUnset,
  kElements,  // one by one, as the protocol writes them: JSON, typed contents
  kBinary,    // their bytes, in the message
  kRegion,    // their bytes, in a client's shared memory
};

// Where in a client's shared memory a tensor is.
struct RegionPlace {
  std::optional<std::string_view> name;
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> offset;
  RegionPin pin;  // after planning, until the request is released

  bool given() const { return name || bytes || offset; }
};

struct GivenInput {
  std::string_view name;
  tensor::TensorDesc desc;  // datatype, rank, dims; after planning all but the place
  Form form = Form::kUnset;
  uint64_t given_bytes = 0;  // kBinary, kRegion: so many are there
  RegionPlace place;         // kRegion
};

struct AskedOutput {
  std::string_view name;
  Form form = Form::kUnset;  // kUnset: as the request says for all
  uint64_t classes = 0;      // so many of the greatest elements instead of all; 0: all
  RegionPlace place;         // kRegion
  uint32_t index = 0;        // after planning: in the model
};

}  // namespace mlos::frontend
