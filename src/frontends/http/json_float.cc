// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/json_float.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace mlos::http {
namespace {

// A number as it is written: digits × 10^exponent.
struct Decimal {
  const char* begin = nullptr;
  const char* end = nullptr;
  bool negative = false;
  uint64_t digits = 0;  // all of them, where they are at most kMaxDigits
  int64_t count = 0;    // of digits, leading zeros left out where that matters
  int64_t exponent = 0;
};

constexpr int64_t kMaxDigits = 19;         // what surely fits 64 bits
constexpr int64_t kMaxExponent = 1 << 20;  // beyond, only the sign matters

constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

// Whether the eight bytes at `p` are digits, and what they say: the well-known
// arithmetic on all of them at once.
inline bool EightDigits(const char* p, uint64_t* value) {
  uint64_t v;
  std::memcpy(&v, p, sizeof(v));
  if (((v & 0xf0f0f0f0f0f0f0f0) | (((v + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4)) !=
      0x3333333333333333) {
    return false;
  }
  v -= 0x3030303030303030;
  v = v * 10 + (v >> 8);
  v = ((v & 0x000000ff000000ff) * 0x000f424000000064 +
       ((v >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >>
      32;
  *value = v;
  return true;
}

// `*exponent` gets what stands behind the e at `p`.  Null if there is nothing.
const char* TakeExponent(const char* p, int64_t* exponent) {
  ++p;
  const bool negative = *p == '-';
  if (*p == '-' || *p == '+') ++p;
  if (!IsDigit(*p)) return nullptr;
  int64_t value = 0;
  for (; IsDigit(*p); ++p) {
    if (value < kMaxExponent) value = value * 10 + (*p - '0');
  }
  *exponent += negative ? -value : value;
  return p;
}

// How many digits there are between `p` and `end` behind the leading zeros.
int64_t CountSignificant(const char* p, const char* end) {
  while (p != end && (*p == '0' || *p == '.')) ++p;
  int64_t count = 0;
  for (; p != end && (IsDigit(*p) || *p == '.'); ++p) count += *p != '.';
  return count;
}

// The grammar of a JSON number.  Digits beyond the nineteenth wrap around;
// `count` tells.
[[gnu::always_inline]] inline bool Scan(const char* p, Decimal* d) {
  d->begin = p;
  // Signs are random: arithmetic instead of branches that guess wrong.
  d->negative = *p == '-';
  p += d->negative ? 1 : 0;
  const char* const start = p;
  uint64_t digits = 0;
  for (; IsDigit(*p); ++p) digits = digits * 10 + static_cast<uint64_t>(*p - '0');
  int64_t count = p - start;
  if (count == 0 || (*start == '0' && count > 1)) return false;
  int64_t exponent = 0;
  if (*p == '.') {
    const char* const fraction = ++p;
    for (uint64_t eight; EightDigits(p, &eight); p += 8) digits = digits * 100000000 + eight;
    for (; IsDigit(*p); ++p) digits = digits * 10 + static_cast<uint64_t>(*p - '0');
    exponent = fraction - p;
    if (exponent == 0) return false;
    count -= exponent;
  }
  if (*p == 'e' || *p == 'E') {
    p = TakeExponent(p, &exponent);
    if (p == nullptr) return false;
  }
  if (count > kMaxDigits) count = CountSignificant(start, p);
  d->end = p;
  d->digits = digits;
  d->count = count;
  d->exponent = exponent;
  return true;
}

// digits × 10^exponent in two roundings at most: `wrong_by` is how many units
// in the last place of the double it can be off.  False: out of reach.
[[gnu::always_inline]] inline bool Approximate(const Decimal& d, double* value, int* wrong_by) {
  constexpr uint64_t kExactInteger = uint64_t{1} << 53;
  if (d.count > kMaxDigits || d.exponent < -22 || d.exponent > 22) return false;
  const auto digits = static_cast<double>(d.digits);
  *value = d.exponent < 0 ? digits / kPowers[-d.exponent] : digits * kPowers[d.exponent];
  // One rounding of exact operands is the correct rounding.
  *wrong_by = d.digits <= kExactInteger ? 0 : 2;
  return true;
}

[[gnu::always_inline]] inline bool Fast(const Decimal& d, double* value) {
  int wrong_by = 0;
  return Approximate(d, value, &wrong_by) && wrong_by == 0;
}

// Rounding the double once more gives the right float, unless the true value
// may lie on the other side of the middle between two floats.
[[gnu::always_inline]] inline bool Fast(const Decimal& d, float* value) {
  double wide = 0;
  int wrong_by = 0;
  if (!Approximate(d, &wide, &wrong_by)) return false;
  // Subnormal floats have their middles elsewhere.
  if (wide < std::numeric_limits<float>::min() && wide != 0) return false;
  if (wide > std::numeric_limits<float>::max()) return false;
  constexpr uint64_t kBelow = (uint64_t{1} << 29) - 1;  // bits a float does not have
  constexpr int64_t kMiddle = int64_t{1} << 28;
  const auto below = static_cast<int64_t>(std::bit_cast<uint64_t>(wide) & kBelow);
  if (std::abs(below - kMiddle) <= wrong_by) return false;
  *value = static_cast<float>(wide);
  return true;
}

// What cannot be rounded for certain above.
template <typename T>
[[gnu::noinline]] NumberResult Slow(const Decimal& d, T* value) {
  if (d.digits == 0 && d.count <= kMaxDigits) {
    *value = d.negative ? -T{0} : T{0};
    return NumberResult::kOk;
  }
  const std::errc error = std::from_chars(d.begin, d.end, *value).ec;
  if (error == std::errc::result_out_of_range) {
    if (d.exponent + d.count > 0) return NumberResult::kOutOfRange;
    *value = d.negative ? -T{0} : T{0};
  }
  return std::isinf(*value) ? NumberResult::kOutOfRange : NumberResult::kOk;
}

template <typename T>
[[gnu::always_inline]] inline NumberResult Parse(const char* p, const char** end, T* value) {
  Decimal d;
  if (!Scan(p, &d)) return NumberResult::kMalformed;
  *end = d.end;
  if (Fast(d, value)) {
    *value = std::copysign(*value, d.negative ? T{-1} : T{1});
    return NumberResult::kOk;
  }
  const Decimal copy = d;  // so that `d` itself can live in registers
  return Slow(copy, value);
}

}  // namespace

NumberResult ParseFloat(const char* p, const char** end, float* value) {
  return Parse(p, end, value);
}

NumberResult ParseFloat(const char* p, const char** end, double* value) {
  return Parse(p, end, value);
}

}  // namespace mlos::http
