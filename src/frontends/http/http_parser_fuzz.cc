// SPDX-License-Identifier: Apache-2.0
//
// Hostile HTTP: heads and chunked bodies, arriving in pieces.  However the
// bytes are cut, the parser comes to the same end.
//
// Input: one byte for the size of the pieces, then the stream.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "frontends/http/request_parser.h"
#include "frontends/http/router.h"

namespace {

using mlos::http::RequestParser;

constexpr uint64_t kMaxBody = 4096;

void Require(bool condition) {
  if (!condition) std::abort();
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
  mlos::http::Buffer body;
  bool in_body = false;
  while (arrived < stream.size()) {
    arrived = std::min(stream.size(), arrived + piece);
    const std::string_view view = stream.substr(at, arrived - at);
    size_t consumed = 0;
    RequestParser::Result result;
    if (!in_body) {
      result = parser.ReadHead(view, &consumed);
      if (result == RequestParser::Result::kDone) {
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
