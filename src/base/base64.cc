// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <fmt/core.h>

#include <array>
#include <cstdint>

namespace mlos {
namespace {

constexpr uint8_t kNone = 0xff;

constexpr std::array<uint8_t, 256> MakeValues() {
  std::array<uint8_t, 256> values{};
  values.fill(kNone);
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<uint8_t>(kDigits[i])] = static_cast<uint8_t>(i);
  }
  return values;
}
constexpr std::array<uint8_t, 256> kValues = MakeValues();

}  // namespace

StatusOr<std::string> DecodeBase64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return InvalidArgument(fmt::format("its length, {}, is no multiple of 4", text.size()));
  }
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  const size_t digits = text.size() - padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  for (size_t i = 0; i < digits; ++i) {
    const uint8_t value = kValues[static_cast<uint8_t>(text[i])];
    if (value == kNone) {
      return InvalidArgument(fmt::format("character {} is no digit of base64", i + 1));
    }
    bits = bits << 6 | value;
    if (i % 4 != 3) continue;
    out += static_cast<char>(bits >> 16 & 0xff);
    out += static_cast<char>(bits >> 8 & 0xff);
    out += static_cast<char>(bits & 0xff);
  }
  // What is left of the last group: 12 bits are a byte, 18 are two.
  const uint32_t spare = padding == 2 ? bits & 0xf : padding == 1 ? bits & 0x3 : 0;
  if (spare != 0) return InvalidArgument("its last digit has bits that belong to no byte");
  if (padding == 2) out += static_cast<char>(bits >> 4 & 0xff);
  if (padding == 1) {
    out += static_cast<char>(bits >> 10 & 0xff);
    out += static_cast<char>(bits >> 2 & 0xff);
  }
  return out;
}

}  // namespace mlos
