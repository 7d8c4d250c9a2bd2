// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a daemon's answer to an inference and to a model's description:
// refused, or JSON.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/utf8.h"
#include "cli/infer_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  for (const auto decode : {mlos::cli::DecodeInfer, mlos::cli::DecodeDescribe}) {
    const auto text = decode(message);
    if (text.ok() && (text->front() != '{' || text->back() != '}' || !mlos::IsUtf8(*text))) {
      std::abort();
    }
  }
  return 0;
}
