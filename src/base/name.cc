// SPDX-License-Identifier: Apache-2.0
#include "base/name.h"

#include <algorithm>

#include "base/log.h"

namespace mlos {
namespace {

// Not <cctype>: that depends on the locale.
bool IsAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool IsNameCharacter(char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; }

constexpr std::string_view kRule =
    "use 1 to 128 characters of A-Z a-z 0-9 . _ - and begin with a letter or a digit";

}  // namespace

bool IsValidName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameLength || !IsAlphanumeric(name[0])) return false;
  for (const char c : name) {
    if (!IsNameCharacter(c)) return false;
  }
  return true;
}

Status ValidateName(std::string_view what, std::string_view name) {
  if (IsValidName(name)) return OkStatus();
  if (name.empty()) return InvalidArgument(fmt::format("{} is empty; {}", what, kRule));
  if (name.size() > kMaxNameLength) {
    return InvalidArgument(
        fmt::format("{} {} has {} characters; {}", what, Quoted(name, 40), name.size(), kRule));
  }
  size_t bad = 0;
  while (bad > 0 ? IsNameCharacter(name[bad]) : IsAlphanumeric(name[bad])) ++bad;
  return InvalidArgument(fmt::format(
      "{} {} has {} at position {}; {}", what, Quoted(name),
      Quoted(name.substr(bad, std::max<size_t>(Utf8Length(name.substr(bad)), 1))), bad + 1, kRule));
}

std::string Quoted(std::string_view text, size_t limit) {
  return "'" + EscapeForLog(text, limit) + "'";
}

}  // namespace mlos
