// SPDX-License-Identifier: Apache-2.0
//
// Hostile HTTP: heads and chunked bodies, arriving in pieces.  However the
// bytes are cut, the parser comes to the same end; and a head that it takes has
// one reading only, by rules that are written here a second time.
//
// Input: one byte for the size of the pieces, then the stream.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "frontends/http/request_parser.h"
#include "frontends/http/router.h"

namespace {

using mlos::http::RequestParser;

constexpr uint64_t kMaxBody = 4096;

void Require(bool condition) {
  if (!condition) std::abort();
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? x + 32 : x) == (y >= 'A' && y <= 'Z' ? y + 32 : y);
  });
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Every line ends with CRLF and has no control character, every field has a
// name with nothing around it, and its end is given once: what another reader
// of the same bytes, before or behind us, cannot take for something else.
void RequireOneReading(std::string_view head, bool http10) {
  Require(head.size() >= 4 && head.substr(head.size() - 4) == "\r\n\r\n");
  head.remove_suffix(2);
  bool first = true;
  size_t lengths = 0;
  size_t codings = 0;
  while (!head.empty()) {
    const size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    Require(!line.empty());
    for (const char c : line)
      Require((static_cast<unsigned char>(c) >= 0x20 || c == '\t') && c != 0x7f);
    if (std::exchange(first, false)) continue;
    const size_t colon = line.find(':');
    Require(colon != std::string_view::npos && colon > 0);
    const std::string_view name = line.substr(0, colon);
    Require(name.find_first_of(" \t") == std::string_view::npos);
    const std::string_view value = Trimmed(line.substr(colon + 1));
    if (EqualsIgnoringCase(name, "content-length")) {
      ++lengths;
      Require(!value.empty() && value.find_first_not_of("0123456789") == std::string_view::npos);
    } else if (EqualsIgnoringCase(name, "transfer-encoding")) {
      ++codings;
      Require(EqualsIgnoringCase(value, "chunked") && !http10);
    }
  }
  Require(lengths + codings <= 1);
}

// What came of one message.
struct End {
  int kind = 0;  // 0 incomplete, 1 head and body, 2 refused
  size_t consumed = 0;
  std::string body;
  std::string name;
  bool operator==(const End& other) const {
    return kind == other.kind && body == other.body && name == other.name &&
           (kind != 1 || consumed == other.consumed);
  }
};

// As a connection does it: a head is read from its first byte, a chunked body
// from where the last call stopped.
End Run(std::string_view stream, size_t piece) {
  RequestParser parser(1024, 64);
  End end;
  size_t arrived = 0;
  size_t at = 0;
  mlos::Buffer body;
  bool in_body = false;
  while (arrived < stream.size()) {
    arrived = std::min(stream.size(), arrived + piece);
    const std::string_view view = stream.substr(at, arrived - at);
    size_t consumed = 0;
    RequestParser::Result result;
    if (!in_body) {
      result = parser.ReadHead(view, &consumed);
      if (result == RequestParser::Result::kDone) {
        RequireOneReading(stream.substr(at, consumed), parser.head().http10);
        at += consumed;
        mlos::http::Route route;
        mlos::http::FindRoute(parser.head().method, parser.head().target, &route);
        end.name = route.name + "/" + route.version;
        if (!parser.head().chunked) {
          end.kind = 1;
          end.consumed = at;
          return end;
        }
        in_body = true;
        consumed = 0;
        result = parser.ReadChunks(stream.substr(at, arrived - at), kMaxBody, &body, &consumed);
        at += consumed;
      }
    } else {
      result = parser.ReadChunks(view, kMaxBody, &body, &consumed);
      at += consumed;
    }
    Require(at <= arrived && body.size() <= kMaxBody);
    if (result == RequestParser::Result::kDone) {
      end.kind = 1;
      end.consumed = at;
      end.body = body.view();
      return end;
    }
    if (result == RequestParser::Result::kError) {
      Require(!parser.error_text().empty() && parser.error_status() >= 400);
      end.kind = 2;
      return end;
    }
  }
  end.name.clear();
  return end;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  // A copy of just this size: a sanitizer sees a read behind the end.
  const std::vector<char> copy(data + 1, data + size);
  const std::string_view stream(copy.data(), copy.size());
  const End whole = Run(stream, stream.size());
  const End pieces = Run(stream, 1 + data[0] % 37);
  // In pieces an error may be seen before the rest has arrived, and what is
  // incomplete in one is in the other.
  if (whole.kind == 1 && pieces.kind == 1) Require(whole == pieces);
  Require((whole.kind == 1) == (pieces.kind == 1));
  return 0;
}
