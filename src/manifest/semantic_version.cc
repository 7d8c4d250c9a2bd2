// SPDX-License-Identifier: Apache-2.0
#include "manifest/semantic_version.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/name.h"

namespace mlos {
namespace {

constexpr size_t kMaxVersionLength = 64;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsNumber(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// A number without leading zeros that fits.
bool ParseNumber(std::string_view text, uint32_t* value) {
  if (!IsNumber(text) || (text.size() > 1 && text[0] == '0')) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool IsPrereleasePart(std::string_view part) {
  if (part.empty()) return false;
  if (IsNumber(part)) return part.size() == 1 || part[0] != '0';
  return std::all_of(part.begin(), part.end(), [](char c) {
    return IsDigit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
  });
}

std::strong_ordering ComparePart(const std::string& a, const std::string& b) {
  const bool a_number = IsNumber(a), b_number = IsNumber(b);
  if (a_number != b_number) {
    return a_number ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  // Without leading zeros the longer number is the larger.
  if (a_number && a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

}  // namespace

std::string SemanticVersion::ToString() const {
  std::string text = fmt::format("{}.{}.{}", major, minor, patch);
  for (size_t i = 0; i < prerelease.size(); ++i) {
    text += i == 0 ? '-' : '.';
    text += prerelease[i];
  }
  return text;
}

std::strong_ordering operator<=>(const SemanticVersion& a, const SemanticVersion& b) {
  if (const auto c = a.major <=> b.major; c != 0) return c;
  if (const auto c = a.minor <=> b.minor; c != 0) return c;
  if (const auto c = a.patch <=> b.patch; c != 0) return c;
  // A prerelease comes before the release it leads to.
  if (a.prerelease.empty() != b.prerelease.empty()) {
    return a.prerelease.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  }
  const size_t shared = std::min(a.prerelease.size(), b.prerelease.size());
  for (size_t i = 0; i < shared; ++i) {
    if (const auto c = ComparePart(a.prerelease[i], b.prerelease[i]); c != 0) return c;
  }
  return a.prerelease.size() <=> b.prerelease.size();
}

StatusOr<SemanticVersion> ParseSemanticVersion(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    return InvalidArgument(fmt::format("version {} {}; write MAJOR.MINOR.PATCH such as 1.0.0",
                                       Quoted(text, kMaxVersionLength), why));
  };
  if (text.size() > kMaxVersionLength) {
    return refuse(
        fmt::format("has {} characters, at most {} are allowed", text.size(), kMaxVersionLength));
  }
  if (text.find('+') != std::string_view::npos) {
    return refuse("has build metadata ('+…'), which does not tell versions apart");
  }
  SemanticVersion version;
  const size_t dash = text.find('-');
  const std::vector<std::string_view> numbers = Split(text.substr(0, dash), '.');
  if (numbers.size() != 3 || !ParseNumber(numbers[0], &version.major) ||
      !ParseNumber(numbers[1], &version.minor) || !ParseNumber(numbers[2], &version.patch)) {
    return refuse("is not a semantic version");
  }
  if (dash != std::string_view::npos) {
    for (const std::string_view part : Split(text.substr(dash + 1), '.')) {
      if (!IsPrereleasePart(part)) {
        return refuse(fmt::format("has the prerelease part {}, which is not a word or a number",
                                  Quoted(part)));
      }
      version.prerelease.emplace_back(part);
    }
  }
  return version;
}

}  // namespace mlos
