// SPDX-License-Identifier: Apache-2.0
//
// Any text is a record or damaged, and a record that was read is written so
// that it is read as the same again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "catalog/codec.h"

namespace {

template <typename Decode>
void Try(std::string_view text, Decode decode) {
  const auto record = decode(text);
  if (!record.ok()) {
    if (record.status().code() != mlos::StatusCode::kDataLoss ||
        mlos::Message(record.status()).empty()) {
      std::abort();
    }
    return;
  }
  const std::string written = mlos::catalog::Encode(*record);
  const auto again = decode(written);
  if (!again.ok() || mlos::catalog::Encode(*again) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Try(text, mlos::catalog::DecodePlugin);
  Try(text, mlos::catalog::DecodeModel);
  Try(text, mlos::catalog::DecodeGroup);
  return 0;
}
