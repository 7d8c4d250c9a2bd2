// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include "base/log.h"

namespace mlos {

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace mlos
