// SPDX-License-Identifier: Apache-2.0
//
// Numbers with units, as they are written in options: whole numbers, durations
// ("75s", "250ms"; without a unit: seconds) kept in milliseconds, and sizes
// ("64MiB"; without a unit: bytes) kept in bytes.
// Pure, and usable in constant expressions, so that a default or a range that
// cannot be read fails the build.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlos::options {

struct Unit {
  std::string_view suffix;
  uint64_t factor;
};

// From the largest to the smallest.
inline constexpr Unit kDurationUnits[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
inline constexpr Unit kSizeUnits[] = {{"TiB", uint64_t{1} << 40},
                                      {"GiB", uint64_t{1} << 30},
                                      {"MiB", uint64_t{1} << 20},
                                      {"KiB", uint64_t{1} << 10},
                                      {"B", 1}};

// Digits only; nothing for anything else, and for what 64 bits cannot hold.
constexpr std::optional<uint64_t> ParseDigits(std::string_view text) {
  if (text.empty()) return {};
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return {};
    value = value * 10 + digit;
  }
  return value;
}

template <size_t N>
constexpr std::optional<uint64_t> ParseWithUnit(std::string_view text, const Unit (&units)[N],
                                                uint64_t factor_without_unit) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const std::string_view suffix = text.substr(digits);
  uint64_t factor = suffix.empty() ? factor_without_unit : 0;
  for (const Unit& unit : units) {
    if (suffix == unit.suffix) factor = unit.factor;
  }
  const std::optional<uint64_t> count = ParseDigits(text.substr(0, digits));
  if (factor == 0 || !count || *count > UINT64_MAX / factor) return {};
  return *count * factor;
}

constexpr std::optional<uint64_t> ParseDuration(std::string_view text) {
  return ParseWithUnit(text, kDurationUnits, 1000);
}

constexpr std::optional<uint64_t> ParseSize(std::string_view text) {
  return ParseWithUnit(text, kSizeUnits, 1);
}

// In the largest unit that leaves a whole number.
std::string FormatDuration(uint64_t millis);
std::string FormatSize(uint64_t bytes);

}  // namespace mlos::options
