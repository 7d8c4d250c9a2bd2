// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/request_parser.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"

namespace mlos::http {
namespace {

using Result = RequestParser::Result;

constexpr std::string_view kChunkedHead =
    "POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

// Feeds a chunked body as a connection does, `piece` bytes at a time: what was
// not consumed is offered again, with what came after it.
Result ReadInPieces(std::string_view encoded, size_t piece, std::string* body) {
  RequestParser parser(4096, 64);
  size_t consumed = 0;
  EXPECT_EQ(parser.ReadHead(kChunkedHead, &consumed), Result::kDone);
  EXPECT_EQ(consumed, kChunkedHead.size());
  Buffer buffer;
  Result result = Result::kNeedMore;
  size_t at = 0;
  for (size_t arrived = 0; result == Result::kNeedMore && arrived < encoded.size();) {
    arrived = std::min(encoded.size(), arrived + piece);
    result = parser.ReadChunks(encoded.substr(at, arrived - at), 1024, &buffer, &consumed);
    at += consumed;
  }
  *body = buffer.view();
  return result;
}

TEST(RequestParser, ReadsAChunkedBodyHoweverItIsCut) {
  const std::vector<std::pair<std::string_view, std::string_view>> bodies = {
      {"0\r\n\r\n", ""},
      {"000\r\n\r\n", ""},
      {"0;name=value\r\n\r\n", ""},
      {"0\r\nTrailer: x\r\n\r\n", ""},
      {"1\r\na\r\n0\r\n\r\n", "a"},
      {"3\r\nabc\r\n2;x\r\nde\r\n0\r\nTrailer: x\r\n\r\n", "abcde"},
  };
  for (const auto& [encoded, expected] : bodies) {
    for (size_t piece = 1; piece <= encoded.size(); ++piece) {
      SCOPED_TRACE(std::string(encoded) + " in pieces of " + std::to_string(piece));
      std::string body;
      EXPECT_EQ(ReadInPieces(encoded, piece, &body), Result::kDone);
      EXPECT_EQ(body, expected);
    }
  }
}

TEST(RequestParser, RefusesFoldedLinesHoweverTheyAreCut) {
  for (const std::string_view field :
       {"Transfer-Encoding:\r\n chunked", "Transfer-Encoding: \r\n\tchunked", "X:\r\n y",
        "X: a\r\n b", "X:\r\n \r\n y", "X: a\r\n ", "Content-Length:\r\n 5", "X:\r\n\t"}) {
    const std::string head = "POST /v2 HTTP/1.1\r\nHost: a\r\n" + std::string(field) + "\r\n\r\n";
    for (size_t piece = 1; piece <= head.size(); ++piece) {
      SCOPED_TRACE(head + " in pieces of " + std::to_string(piece));
      RequestParser parser(4096, 64);
      size_t consumed = 0;
      Result result = Result::kNeedMore;
      for (size_t arrived = 0; result == Result::kNeedMore && arrived < head.size();) {
        arrived = std::min(head.size(), arrived + piece);
        result = parser.ReadHead(std::string_view(head).substr(0, arrived), &consumed);
      }
      EXPECT_EQ(result, Result::kError);
      EXPECT_EQ(parser.error_status(), 400);
    }
  }
}

TEST(RequestParser, ReadsALengthThatIsWrittenInDigitsOnly) {
  const auto length = [](const std::string& value) {
    RequestParser parser(4096, 64);
    size_t consumed = 0;
    EXPECT_EQ(parser.ReadHead("POST /v2 HTTP/1.1\r\nHost: a\r\n"
                              "Inference-Header-Content-Length: " +
                                  value + "\r\n\r\n",
                              &consumed),
              Result::kDone);
    return parser.head().bad_json_length ? -1 : parser.head().json_length;
  };
  EXPECT_EQ(length("0"), 0);
  EXPECT_EQ(length("017"), 17);
  EXPECT_EQ(length("9223372036854775807"), std::numeric_limits<int64_t>::max());
  for (const char* bad : {"-0", "-1", "+1", "", "x", "1x", "0x1", "1 1", "9223372036854775808"}) {
    EXPECT_EQ(length(bad), -1) << bad;
  }
}

TEST(RequestParser, RefusesABrokenChunkHoweverItIsCut) {
  for (const std::string_view encoded :
       {"zz\r\n\r\n", "0\rx\n\r\n", "1\r\nab\r\n0\r\n\r\n", "-1\r\n\r\n", "0 x\r\n\r\n"}) {
    for (size_t piece = 1; piece <= encoded.size(); ++piece) {
      SCOPED_TRACE(std::string(encoded) + " in pieces of " + std::to_string(piece));
      std::string body;
      EXPECT_EQ(ReadInPieces(encoded, piece, &body), Result::kError);
    }
  }
}

}  // namespace
}  // namespace mlos::http
