// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/json_string.h"

namespace mlos::http {
namespace {

// Counts, and writes where there is something to write to.
struct Sink {
  char* out;
  size_t length = 0;
  void Put(char c) {
    if (out != nullptr) out[length] = c;
    ++length;
  }
  void PutCodePoint(uint32_t c) {
    if (c < 0x80) return Put(static_cast<char>(c));
    if (c < 0x800) {
      Put(static_cast<char>(0xc0 | c >> 6));
    } else {
      if (c < 0x10000) {
        Put(static_cast<char>(0xe0 | c >> 12));
      } else {
        Put(static_cast<char>(0xf0 | c >> 18));
        Put(static_cast<char>(0x80 | (c >> 12 & 0x3f)));
      }
      Put(static_cast<char>(0x80 | (c >> 6 & 0x3f)));
    }
    Put(static_cast<char>(0x80 | (c & 0x3f)));
  }
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The four digits behind "\u"; stops at the first that is none, so it never
// reads past the closing quote.
bool FourHex(const char* p, uint32_t* value) {
  *value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexDigit(p[i]);
    if (digit < 0) return false;
    *value = *value << 4 | static_cast<uint32_t>(digit);
  }
  return true;
}

// `p` is behind "\u".  Returns the byte behind the whole escape, or null.
const char* UnicodeEscape(const char* p, Sink* sink) {
  uint32_t c = 0;
  if (!FourHex(p, &c)) return nullptr;
  p += 4;
  if (c >= 0xdc00 && c < 0xe000) return nullptr;
  if (c >= 0xd800 && c < 0xdc00) {
    uint32_t low = 0;
    if (p[0] != '\\' || p[1] != 'u' || !FourHex(p + 2, &low) || low < 0xdc00 || low >= 0xe000) {
      return nullptr;
    }
    p += 6;
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  }
  sink->PutCodePoint(c);
  return p;
}

}  // namespace

const char* UnescapeString(const char* p, char* out, size_t* length) {
  Sink sink{out};
  ++p;
  for (;;) {
    const char c = *p++;
    if (c == '"') break;
    if (c != '\\') {
      sink.Put(c);
      continue;
    }
    switch (const char escape = *p++; escape) {
      case '"':
      case '\\':
      case '/':
        sink.Put(escape);
        break;
      case 'b':
        sink.Put('\b');
        break;
      case 'f':
        sink.Put('\f');
        break;
      case 'n':
        sink.Put('\n');
        break;
      case 'r':
        sink.Put('\r');
        break;
      case 't':
        sink.Put('\t');
        break;
      case 'u':
        p = UnicodeEscape(p, &sink);
        if (p == nullptr) return nullptr;
        break;
      default:
        return nullptr;
    }
  }
  *length = sink.length;
  return p;
}

}  // namespace mlos::http
