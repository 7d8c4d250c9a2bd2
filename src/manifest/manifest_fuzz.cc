// SPDX-License-Identifier: Apache-2.0
//
// Any text is a manifest or an error, and what is accepted keeps the promises
// of manifest.h.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/name.h"
#include "manifest/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = mlos::ParseManifest(text);
  if (!manifest.ok()) {
    if (mlos::Message(manifest.status()).empty()) std::abort();
    return 0;
  }
  if (!mlos::IsValidName(manifest->name) || !mlos::IsValidName(manifest->library) ||
      manifest->formats.empty() || manifest->semantic_version.ToString() != manifest->version) {
    std::abort();
  }
  return 0;
}
