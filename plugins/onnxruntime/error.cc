// SPDX-License-Identifier: Apache-2.0
#include "error.h"

#include <algorithm>
#include <cstring>

namespace mlos::onnxrt {
namespace {

constexpr size_t kMaxQuoted = 120;
constexpr size_t kMaxTidied = 600;

// Largest length not above `limit` that does not split a UTF-8 character.
size_t CutLength(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text.size();
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return limit;
}

// True for "/some/where/file.cc:123", which names a file of the build machine.
bool IsSourcePosition(std::string_view word) {
  for (std::string_view mark : {".cc:", ".h:", ".cpp:", ".hpp:", ".inc:"}) {
    if (word.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

std::string Quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  const size_t length = CutLength(text, kMaxQuoted);
  std::string quoted = "'";
  for (char c : text.substr(0, length)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      quoted += c;
    }
  }
  if (length < text.size()) quoted += "...";
  return quoted += '\'';
}

std::string Tidy(std::string_view text) {
  std::string tidy;
  while (!text.empty() && tidy.size() < kMaxTidied) {
    const size_t start =
        std::find_if(text.begin(), text.end(), [](char c) { return c > ' ' || c < 0; }) -
        text.begin();
    text.remove_prefix(start);
    const size_t end =
        std::find_if(text.begin(), text.end(), [](char c) { return c >= 0 && c <= ' '; }) -
        text.begin();
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    if (word.empty() || IsSourcePosition(word)) continue;
    if (!tidy.empty()) tidy += ' ';
    tidy += word.substr(0, CutLength(word, kMaxTidied));
  }
  return tidy;
}

void WriteError(smi_error* to, std::string_view text) {
  if (to == nullptr || to->text == nullptr || to->capacity == 0) return;
  const size_t length = CutLength(text, to->capacity - 1);
  std::memcpy(to->text, text.data(), length);
  to->text[length] = '\0';
}

}  // namespace mlos::onnxrt
