// SPDX-License-Identifier: Apache-2.0
//
// Writes fields of a protocol buffer by hand, where no library should have to
// know the message.  Functions without state.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/buffer.h"

namespace mlos {

inline void AppendVarint(uint64_t value, Buffer* out) {
  while (value >= 0x80) {
    out->Append(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->Append(static_cast<char>(value));
}

inline size_t VarintSize(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// The start of a length-delimited field; its bytes follow.
inline void AppendFieldHead(uint32_t field, uint64_t size, Buffer* out) {
  constexpr uint32_t kLengthDelimited = 2;
  AppendVarint(field << 3 | kLengthDelimited, out);
  AppendVarint(size, out);
}

inline void AppendNumber(uint32_t field, uint64_t value, Buffer* out) {
  AppendVarint(field << 3, out);
  AppendVarint(value, out);
}

inline void AppendDouble(uint32_t field, double number, Buffer* out) {
  constexpr uint32_t kFixed64 = 1;
  AppendVarint(field << 3 | kFixed64, out);
  const auto bits = std::bit_cast<uint64_t>(number);
  out->Append(std::string_view(reinterpret_cast<const char*>(&bits), sizeof bits));
}

// A message, or a text that is there also where it is empty.
inline void AppendMessage(uint32_t field, std::string_view message, Buffer* out) {
  AppendFieldHead(field, message.size(), out);
  out->Append(message);
}

// Strings and bytes; an empty one is left out, as proto3 does.
inline void AppendString(uint32_t field, std::string_view text, Buffer* out) {
  if (text.empty()) return;
  AppendFieldHead(field, text.size(), out);
  out->Append(text);
}

}  // namespace mlos
