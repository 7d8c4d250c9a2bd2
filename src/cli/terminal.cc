// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iterator>

#include "base/log.h"

namespace mlos::cli {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Marks that are not seen but change what is.
constexpr Range kHidden[] = {{0x80, 0x9f},     {0x200b, 0x200f}, {0x2028, 0x202e},
                             {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xe0000, 0xe007f}};
constexpr Range kCombining[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
constexpr Range kWide[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},  {0x4e00, 0x9fff},
    {0xa000, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},  {0xff00, 0xff60},
    {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

template <size_t N>
bool IsIn(const Range (&ranges)[N], char32_t c) {
  for (const Range& range : ranges) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

// The character that `text` begins with, of `length` bytes.
char32_t Decode(std::string_view text, size_t length) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (length == 1) return byte(0);
  char32_t c = byte(0) & (0xffU >> (length + 1));
  for (size_t i = 1; i < length; ++i) c = (c << 6U) | (byte(i) & 0x3fU);
  return c;
}

std::string EscapeBut(std::string_view text, std::string_view spared) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char32_t c = length == 0 ? 0 : Decode(text, length);
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (length == 1 && (c < 0x20 || c == 0x7f)) {
      const bool fine = spared.find(text[0]) != std::string_view::npos;
      out += fine ? std::string(1, text[0]) : fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else if (length > 1 && IsIn(kHidden, c)) {
      out += fmt::format("\\u{{{:x}}}", static_cast<unsigned>(c));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

size_t CharacterWidth(char32_t c) { return IsIn(kCombining, c) ? 0 : IsIn(kWide, c) ? 2 : 1; }

}  // namespace

std::string Escape(std::string_view text) { return EscapeBut(text, ""); }
std::string EscapeLines(std::string_view text) { return EscapeBut(text, "\n\t"); }

size_t Width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    width += length == 0 ? 1 : CharacterWidth(Decode(text, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return width;
}

std::string Cut(std::string_view text, size_t width) {
  if (Width(text) <= width) return std::string(text);
  std::string out;
  size_t used = 1;  // the …
  while (!text.empty()) {
    const size_t length = Utf8Length(text) == 0 ? 1 : Utf8Length(text);
    used += Width(text.substr(0, length));
    if (used > width) break;
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out + "…";
}

bool IsTerminal(int fd) { return isatty(fd) == 1; }

size_t TerminalColumns(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool WantsColour(int fd) {
  // There is one thread.  NOLINTBEGIN(concurrency-mt-unsafe)
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  // NOLINTEND(concurrency-mt-unsafe)
  if (no_colour != nullptr && *no_colour != '\0') return false;
  return IsTerminal(fd) && term != nullptr && std::string_view(term) != "dumb";
}

std::string Coloured(std::string_view text, Colour colour) {
  constexpr const char* kCodes[] = {"", "31", "32", "33", "1", "2"};
  if (colour == Colour::kNone || text.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(colour)], text);
}

Colour StateColour(std::string_view state) {
  if (state == "ready") return Colour::kGreen;
  if (state == "failed") return Colour::kRed;
  if (state == "loading" || state == "draining") return Colour::kYellow;
  return Colour::kNone;
}

}  // namespace mlos::cli
