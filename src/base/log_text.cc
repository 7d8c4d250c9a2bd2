// SPDX-License-Identifier: Apache-2.0
#include "base/log_text.h"

#include <fmt/core.h>

#include <ctime>

namespace mlos {
namespace {

// A value that a reader would split, or that is quoted already.
bool NeedsQuotes(std::string_view value) {
  return value.find_first_of(" \"=\\") != std::string_view::npos;
}

}  // namespace

std::string LogTextTime(int64_t time_ms) {
  const time_t seconds = time_ms / 1000;
  tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[64];
  char zone[16];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::strftime(zone, sizeof zone, "%z", &parts);
  return fmt::format("{}.{:03}{}", text, static_cast<int>(time_ms % 1000), zone);
}

void AppendLogQuoted(std::string_view text, std::string* out) {
  *out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') *out += '\\';
    *out += c;
  }
  *out += '"';
}

void AppendLogFields(std::span<const LogField> fields, std::string* out) {
  for (const LogField& field : fields) {
    if (field.value.empty()) continue;
    *out += ' ';
    *out += field.name;
    *out += '=';
    if (NeedsQuotes(field.value)) {
      AppendLogQuoted(field.value, out);
    } else {
      *out += field.value;
    }
  }
}

}  // namespace mlos
