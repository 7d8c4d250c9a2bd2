// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a .npy file: refused, or an array whose data has the size that
// its shape says.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "cli/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto array = mlos::cli::ParseNpy({reinterpret_cast<const char*>(data), size});
  if (!array.ok()) return 0;
  uint64_t bytes = 0;
  if (mlos::tensor::ByteSize(array->datatype, array->shape, &bytes) &&
      bytes != array->data.size()) {
    std::abort();
  }
  return 0;
}
