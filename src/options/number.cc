// SPDX-License-Identifier: Apache-2.0
#include "options/number.h"

namespace mlos::options {
namespace {

template <size_t N>
std::string Format(uint64_t value, const Unit (&units)[N], std::string_view unit_of_zero) {
  if (value == 0) return "0" + std::string(unit_of_zero);
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) {
      return std::to_string(value / unit.factor) + std::string(unit.suffix);
    }
  }
  return std::to_string(value);  // not reached: the smallest unit divides everything
}

}  // namespace

std::string FormatDuration(uint64_t millis) { return Format(millis, kDurationUnits, "s"); }

std::string FormatSize(uint64_t bytes) { return Format(bytes, kSizeUnits, "B"); }

}  // namespace mlos::options
