// SPDX-License-Identifier: Apache-2.0
//
// Arrays as NumPy saves them (.npy, versions 1.0 to 3.0), read as untrusted
// input: sizes are checked before memory is used, and nothing is executed
// (object arrays, which are pickles, are refused).  Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/datatype.h"

namespace mlos::cli {

struct Array {
  tensor::Datatype datatype = tensor::Datatype::kInvalid;
  std::vector<int64_t> shape;
  // In row-major order, little-endian; strings (S and U) in the protocol's
  // encoding of BYTES, without their padding.
  std::string data;
};

// Takes two-byte void elements, which NumPy writes for types that it does not
// know itself, as BF16.
StatusOr<Array> ParseNpy(std::string_view file);

}  // namespace mlos::cli
