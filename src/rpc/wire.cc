// SPDX-License-Identifier: Apache-2.0
#include "rpc/wire.h"

#include <array>
#include <charconv>
#include <limits>

#include "base/clock.h"

namespace mlos::rpc {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> MakeValues() {
  std::array<int8_t, 256> values{};
  for (auto& v : values) v = -1;
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  }
  return values;
}
constexpr std::array<int8_t, 256> kValues = MakeValues();

std::optional<uint64_t> UnitNanos(char unit) {
  switch (unit) {
    case 'H':
      return 3600 * kNanosPerSecond;
    case 'M':
      return 60 * kNanosPerSecond;
    case 'S':
      return kNanosPerSecond;
    case 'm':
      return kNanosPerMilli;
    case 'u':
      return kNanosPerMicro;
    case 'n':
      return 1;
    default:
      return std::nullopt;
  }
}

}  // namespace

bool ListHas(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (item == name) return true;
  }
  return false;
}

bool IsGrpc(std::string_view content_type) {
  constexpr std::string_view kName = "application/grpc";
  if (content_type.substr(0, kName.size()) != kName) return false;
  const std::string_view rest = content_type.substr(kName.size());
  return rest.empty() || rest.front() == ';' || rest == "+proto" || rest.substr(0, 7) == "+proto;";
}

void AppendPercentEncoded(std::string_view text, std::string* out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<uint8_t>(c);
    // No field of HTTP/2 begins or ends with a space.
    const bool edge = c == ' ' && (i == 0 || i + 1 == text.size());
    if (byte >= 0x20 && byte <= 0x7e && c != '%' && !edge) {
      out->push_back(c);
    } else {
      out->push_back('%');
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    }
  }
}

std::optional<uint64_t> ParseTimeout(std::string_view text) {
  constexpr size_t kMostDigits = 8;
  if (text.size() < 2 || text.size() > kMostDigits + 1) return std::nullopt;
  const auto unit = UnitNanos(text.back());
  uint64_t count = 0;
  const char* end = text.data() + text.size() - 1;
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (!unit || error != std::errc() || stop != end) return std::nullopt;
  if (count > std::numeric_limits<int64_t>::max() / *unit) {
    return std::numeric_limits<int64_t>::max();
  }
  return count * *unit;
}

bool DecodeBinary(std::string_view text, std::string* out) {
  out->clear();
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int8_t value = kValues[static_cast<uint8_t>(c)];
    if (value < 0) return false;
    bits = (bits << 6 | static_cast<uint32_t>(value)) & 0xffff;
    have += 6;
    if (have < 8) continue;
    have -= 8;
    out->push_back(static_cast<char>(bits >> have & 0xff));
  }
  return true;
}

std::string EncodeBinary(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int have = 0;
  for (const char c : bytes) {
    bits = (bits << 8 | static_cast<uint8_t>(c)) & 0xffff;
    have += 8;
    while (have >= 6) {
      have -= 6;
      out.push_back(kAlphabet[bits >> have & 63]);
    }
  }
  if (have > 0) out.push_back(kAlphabet[bits << (6 - have) & 63]);
  return out;
}

}  // namespace mlos::rpc
