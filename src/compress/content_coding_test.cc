// SPDX-License-Identifier: Apache-2.0
#include "compress/content_coding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <tuple>

namespace mlos::compress {
namespace {

using testing::HasSubstr;

// With the library's own one-shot settings, so that the coder is not tested
// with itself only.
std::string Compressed(Coding coding, const std::string& text, int level = 9) {
  z_stream stream{};
  EXPECT_EQ(Z_OK, deflateInit2(&stream, level, Z_DEFLATED, coding == Coding::kGzip ? 31 : 15, 9,
                               Z_DEFAULT_STRATEGY));
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(Z_STREAM_END, deflate(&stream, Z_FINISH));
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

StatusOr<std::string> Inflated(Coding coding, const std::string& packed, size_t room = 4096) {
  Inflater inflater(coding, packed);
  std::string out;
  std::string piece(room, '\0');
  for (;;) {
    size_t written = 0;
    const auto result = inflater.Step(piece.data(), room, &written);
    if (!result.ok()) return result.status();
    out.append(piece, 0, written);
    if (*result == Inflater::Result::kDone) return out;
  }
}

std::string Deflated(Coding coding, std::string_view text, size_t piece, size_t room) {
  Deflater deflater(coding);
  EXPECT_TRUE(deflater.ready());
  std::string out;
  std::string to(room, '\0');
  for (;;) {
    std::string_view input = text.substr(0, piece);
    const bool last = input.size() == text.size();
    const size_t before = input.size();
    size_t written = 0;
    const bool done = deflater.Step(&input, last, to.data(), room, &written);
    text.remove_prefix(before - input.size());
    out.append(to, 0, written);
    if (done) return out;
  }
}

std::string Noise(size_t bytes) {
  std::mt19937 random(7);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

TEST(ContentCoding, NamesOfRequests) {
  EXPECT_EQ(ParseCoding(""), Coding::kIdentity);
  EXPECT_EQ(ParseCoding(" Identity "), Coding::kIdentity);
  EXPECT_EQ(ParseCoding("gzip"), Coding::kGzip);
  EXPECT_EQ(ParseCoding("X-GZIP"), Coding::kGzip);
  EXPECT_EQ(ParseCoding("deflate"), Coding::kDeflate);
  for (const char* text : {"br", "zstd", "gzip, gzip", "gzip,deflate", "gzi", "gzipp"}) {
    EXPECT_EQ(ParseCoding(text), Coding::kUnknown) << text;
  }
}

TEST(ContentCoding, WhatAnAnswerMayBe) {
  const std::pair<const char*, Coding> kCases[] = {
      {"", Coding::kIdentity},
      {"identity", Coding::kIdentity},
      {"br", Coding::kIdentity},
      {"*", Coding::kIdentity},
      {"gzip", Coding::kGzip},
      {"deflate", Coding::kDeflate},
      {"gzip, deflate", Coding::kGzip},
      {"deflate, gzip, br", Coding::kGzip},
      {"GZip;Q=0.3", Coding::kGzip},
      {"gzip;q=0.5, deflate;q=0.8", Coding::kDeflate},
      {"gzip;q=0.5,identity", Coding::kIdentity},
      {"gzip;q=0.5 , identity;q=0.5", Coding::kIdentity},
      {"gzip ; q=0.6, identity;q=0.5", Coding::kGzip},
      {"gzip;q=0", Coding::kIdentity},
      {"gzip;q=0.000, deflate;q=0.001", Coding::kDeflate},
      {"gzip;q=0, *", Coding::kIdentity},
      {"identity;q=0", Coding::kIdentity},
      {"identity;q=0, *", Coding::kGzip},
      {"*;q=0", Coding::kIdentity},
      {"*;q=0, deflate", Coding::kDeflate},
      {"gzip;q=", Coding::kIdentity},
      {"gzip;q=2", Coding::kIdentity},
      {"gzip;q=1.001", Coding::kIdentity},
      {"gzip;q=0.12345", Coding::kIdentity},
      {"gzip;q=x", Coding::kIdentity},
      {"gzip;level=9", Coding::kGzip},
      {",,gzip,,", Coding::kGzip},
      {";;;,q=1,;q=0", Coding::kIdentity},
  };
  for (const auto& [text, coding] : kCases) EXPECT_EQ(ChooseCoding(text), coding) << text;
}

TEST(ContentCoding, ReadsWhatTheLibraryWrites) {
  for (const Coding coding : {Coding::kGzip, Coding::kDeflate}) {
    for (const std::string& text : {std::string(), std::string("x"), std::string(1 << 20, '\0'),
                                    Noise(300'000), Noise(1000) + std::string(70'000, 'a')}) {
      for (const size_t room :
           {size_t{1} << 16, size_t{4097}, text.size() > 2000 ? size_t{1000} : size_t{1}}) {
        const auto out = Inflated(coding, Compressed(coding, text), room);
        ASSERT_TRUE(out.ok()) << Message(out.status());
        EXPECT_TRUE(*out == text) << text.size() << " bytes, " << room << " at once";
      }
    }
  }
}

TEST(ContentCoding, WritesWhatTheLibraryReads) {
  for (const Coding coding : {Coding::kGzip, Coding::kDeflate}) {
    for (const std::string& text :
         {std::string(), std::string("x"), std::string(1 << 20, '\0'), Noise(300'000)}) {
      for (const size_t room : {size_t{1} << 16, size_t{64}}) {
        const auto out = Inflated(coding, Deflated(coding, text, 100'000, room));
        ASSERT_TRUE(out.ok()) << Message(out.status());
        EXPECT_TRUE(*out == text) << text.size() << " bytes, room for " << room;
      }
    }
  }
}

TEST(ContentCoding, GzipMayHaveSeveralMembers) {
  const std::string empty = Compressed(Coding::kGzip, "");
  std::string many = Compressed(Coding::kGzip, "one ");
  for (int i = 0; i < 50'000; ++i) many += empty;
  many += Compressed(Coding::kGzip, "two");
  EXPECT_EQ(Inflated(Coding::kGzip, many).value(), "one two");
  const std::string zlib = Compressed(Coding::kDeflate, "one");
  EXPECT_THAT(std::string(Message(Inflated(Coding::kDeflate, zlib + zlib).status())),
              HasSubstr("bytes follow its end"));
}

// As it comes from a socket; and the next message by the same Inflater.
TEST(ContentCoding, ReadsWhatComesInPieces) {
  for (const Coding coding : {Coding::kGzip, Coding::kDeflate}) {
    const std::string text = Noise(1000) + std::string(70'000, 'p');
    const std::string packed = Compressed(coding, text);
    Inflater inflater(coding);
    for (const size_t piece : {size_t{1}, size_t{7}, packed.size()}) {
      inflater.Restart();
      std::string out;
      std::string to(999, '\0');
      auto result = Inflater::Result::kMore;
      for (size_t at = 0; result == Inflater::Result::kMore;) {
        if (inflater.rest().empty()) {
          const std::string_view next = std::string_view(packed).substr(at, piece);
          at += next.size();
          inflater.Give(next, at == packed.size());
        }
        size_t written = 0;
        const auto step = inflater.Step(to.data(), to.size(), &written);
        ASSERT_TRUE(step.ok()) << Message(step.status());
        out.append(to, 0, written);
        result = *step;
      }
      EXPECT_TRUE(out == text) << piece;
    }
  }
}

TEST(ContentCoding, EveryCutIsNoticed) {
  for (const Coding coding : {Coding::kGzip, Coding::kDeflate}) {
    const std::string whole = Compressed(coding, Noise(100) + std::string(500, 'b'));
    for (size_t n = 0; n < whole.size(); ++n) {
      const auto out = Inflated(coding, whole.substr(0, n));
      EXPECT_EQ(out.status().code(), StatusCode::kInvalidArgument) << n;
    }
    EXPECT_THAT(std::string(Message(Inflated(coding, whole.substr(0, 60)).status())),
                HasSubstr("is cut off"));
  }
}

TEST(ContentCoding, EveryFlippedBitOfAGzipIsNoticedOrHarmless) {
  const std::string text = Noise(200) + std::string(200, 'c');
  const std::string whole = Compressed(Coding::kGzip, text);
  for (size_t i = 0; i < whole.size() * 8; ++i) {
    std::string flipped = whole;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    const auto out = Inflated(Coding::kGzip, flipped);
    // Times and flags of the header say nothing about the content.
    if (out.ok()) {
      EXPECT_TRUE(*out == text) << i;
    }
  }
}

TEST(ContentCoding, WhatIsNoStream) {
  const std::string text(100, 'd');
  const std::string gzip = Compressed(Coding::kGzip, text);
  const std::string zlib = Compressed(Coding::kDeflate, text);
  const std::tuple<Coding, std::string, const char*> kWrong[] = {
      {Coding::kGzip, "", "is cut off"},
      {Coding::kGzip, zlib, "incorrect header check"},
      {Coding::kDeflate, gzip, "zlib's format"},
      {Coding::kDeflate, zlib.substr(2, zlib.size() - 6), "zlib's format"},  // without its frame
      {Coding::kGzip, "{\"inputs\":[]}", "incorrect header check"},
      {Coding::kGzip, gzip + "x", "1 bytes follow its end"},
      {Coding::kGzip, gzip + std::string(8, '\0'), "8 bytes follow its end"},
      {Coding::kGzip, gzip + "\x1f", "is cut off"},
      {Coding::kGzip, gzip + "\x1fx", "incorrect header check"},
      {Coding::kDeflate, zlib + "\n", "1 bytes follow its end"},
      {Coding::kDeflate, std::string("\x78\xbb\1\2\3\4", 6), "it needs a dictionary"},
  };
  for (const auto& [coding, packed, what] : kWrong) {
    const auto out = Inflated(coding, packed);
    EXPECT_EQ(out.status().code(), StatusCode::kInvalidArgument) << what;
    EXPECT_THAT(std::string(Message(out.status())), HasSubstr(what));
  }
}

// A step reads no more than its slice however little comes of it.
TEST(ContentCoding, StepsAreBounded) {
  const std::string empty = Compressed(Coding::kGzip, "");
  std::string many;
  while (many.size() < 4 * Inflater::kSliceBytes) many += empty;
  Inflater inflater(Coding::kGzip, many);
  size_t steps = 0;
  char to[16];
  for (;; ++steps) {
    size_t written = 0;
    const auto result = inflater.Step(to, sizeof(to), &written);
    ASSERT_TRUE(result.ok());
    ASSERT_EQ(written, 0u);
    if (*result == Inflater::Result::kDone) break;
  }
  EXPECT_GE(steps, 4u);
}

}  // namespace
}  // namespace mlos::compress
