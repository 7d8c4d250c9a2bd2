// SPDX-License-Identifier: Apache-2.0
//
// Attacks by how a message is framed: two readings of where it ends, and bodies
// in as many pieces as there can be (T1 and T2 of the reliability tests).
//
// Each message that has two readings hides a second request in its body, one
// that would register a model.  It must never be answered and never be done.
#include "oracle.h"
#include "raw_peer.h"

namespace mlos::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// Sent behind what has one reading only: its answer is the next one.
constexpr char kSentinel[] = "GET /v2/health/live HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";

std::string Hex(size_t n) {
  char text[20];
  std::snprintf(text, sizeof text, "%zx", n);
  return text;
}

std::string Length(size_t n) { return "Content-Length: " + std::to_string(n) + "\r\n"; }

std::string Hidden() {
  const std::string body =
      R"({"name":"smuggled","path":")" + SourcePath("plugins/template/model.affine") + "\"}";
  return "POST /api/v1/models HTTP/1.1\r\nHost: t\r\n" + Length(body.size()) + "\r\n" + body;
}

class FramingAttack : public AttackTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_NO_FATAL_FAILURE(Watch());
  }

  static std::string Infer(const std::string& fields, const std::string& body) {
    return "POST /v2/models/bystander/infer HTTP/1.1\r\nHost: t\r\n" + fields + "\r\n" + body;
  }

  // One answer, an error, and the connection ends.
  void ExpectRefused(const std::string& bytes) {
    SCOPED_TRACE(bytes.substr(0, 300));
    RawPeer peer(daemon().address());
    peer.Send(bytes);
    const std::string said = peer.ReadToEnd();
    const std::vector<int> statuses = Statuses(said);
    ASSERT_EQ(1u, statuses.size()) << said;
    EXPECT_GE(statuses[0], 400) << said;
    EXPECT_LT(statuses[0], 506) << said;
    EXPECT_NE(std::string::npos, said.find("Connection: close")) << said;
    NothingSmuggled();
  }

  // One answer with `status`, then that to the sentinel.
  void ExpectOne(int status, const std::string& bytes) {
    SCOPED_TRACE(bytes.substr(0, 300));
    RawPeer peer(daemon().address());
    peer.Send(bytes + kSentinel);
    const std::string said = peer.ReadToEnd();
    EXPECT_EQ((std::vector<int>{status, 200}), Statuses(said)) << said;
    EXPECT_NE(std::string::npos, said.find(R"({"live":true})")) << said;
    NothingSmuggled();
  }

  void NothingSmuggled() { EXPECT_STATUS(404, daemon().Get("/api/v1/models/smuggled")); }
};

// The test of the tests: where the hidden request stands in the open, it is seen.
TEST_F(FramingAttack, ARequestThatIsNotHiddenIsAnswered) {
  RawPeer peer(daemon().address());
  peer.Send(Infer(Length(2), "{}") + Hidden() + kSentinel);
  EXPECT_EQ((std::vector<int>{400, 201, 200}), Statuses(peer.ReadToEnd()));
  EXPECT_STATUS(200, daemon().Get("/api/v1/models/smuggled"));
}

TEST_F(FramingAttack, LengthAndChunksTogether) {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const std::string ends = "0\r\n\r\n" + Hidden();
  const std::string inside = Hex(Hidden().size()) + "\r\n" + Hidden() + "\r\n0\r\n\r\n";
  ExpectRefused(Infer(Length(ends.size()) + chunked, ends));
  ExpectRefused(Infer(chunked + Length(ends.size()), ends));
  ExpectRefused(Infer(chunked + Length(4), inside));
  ExpectRefused(Infer(Length(4) + chunked, inside));
  ExpectRefused(Infer(chunked + chunked, ends));
  for (const char* coding : {"xchunked", "chunked, chunked", "identity", "chunked, identity",
                             "identity, chunked", "gzip, chunked", "\"chunked\"", "chunked;q=1",
                             "chunked,", ",chunked", "chu nked", "", "chunked\x0b",
                             "\x0b"
                             "chunked",
                             "\xa0"
                             "chunked",
                             "[chunked]"}) {
    const std::string field = std::string("Transfer-Encoding: ") + coding + "\r\n";
    ExpectRefused(Infer(field + Length(ends.size()), ends));
    ExpectRefused(Infer(Length(ends.size()) + field, ends));
    ExpectRefused(Infer(field, ends));
  }
  std::string http10 = Infer(chunked, ends);
  http10.replace(http10.find("HTTP/1.1"), 8, "HTTP/1.0");
  ExpectRefused(http10);
}

TEST_F(FramingAttack, FieldsThatOnlySomeReadersSee) {
  const std::string ends = "0\r\n\r\n" + Hidden();
  using std::string_literals::operator""s;
  for (const std::string& field : {"Transfer-Encoding : chunked\r\n"s,
                                   "Transfer-Encoding\t: chunked\r\n"s,
                                   " Transfer-Encoding: chunked\r\n"s,
                                   "\tTransfer-Encoding: chunked\r\n"s,
                                   "Transfer-Encoding\n: chunked\r\n"s,
                                   "Transfer-Encoding:\r\n chunked\r\n"s,
                                   "Transfer-Encoding:\n chunked\r\n"s,
                                   "X: y\nTransfer-Encoding: chunked\r\n"s,
                                   "X: y\rTransfer-Encoding: chunked\r\n"s,
                                   "X: y\r\n\r Transfer-Encoding: chunked\r\n"s,
                                   "X: y\r\n \r\nTransfer-Encoding: chunked\r\n"s,
                                   "Transfer\0-Encoding: chunked\r\n"s,
                                   "Transfer-Encoding\0: chunked\r\n"s,
                                   "Transfer-Encoding: chun\0ked\r\n"s,
                                   "Transfer-Encoding: chunked\0\r\n"s,
                                   "X: a\0b\r\n"s,
                                   "\0: x\r\n"s,
                                   ": x\r\n"s,
                                   "X\r\n"s,
                                   "Content-Length : 3\r\n"s,
                                   "X: \x7f\r\n"s,
                                   "Host: other\r\n"s}) {
    ExpectRefused(Infer(field + Length(ends.size()), ends));
    ExpectRefused(Infer(Length(ends.size()) + field, ends));
    ExpectRefused(Infer(field, ends));
  }
  // A name of its own: one reading, by length.
  ExpectOne(400, Infer(Length(ends.size()) + "Transfer_Encoding: chunked\r\n", ends));
  ExpectOne(400, Infer(Length(ends.size()) + "X-Transfer-Encoding: chunked\r\n", ends));
}

TEST_F(FramingAttack, TwoLengths) {
  const std::string hidden = Hidden();
  const std::string all = std::to_string(hidden.size());
  ExpectRefused(Infer(Length(hidden.size()) + Length(0), hidden));
  ExpectRefused(Infer(Length(0) + Length(hidden.size()), hidden));
  ExpectRefused(Infer(Length(hidden.size()) + Length(hidden.size()), hidden));
  for (const std::string& value :
       std::vector<std::string>{"0, " + all, all + ", 0", all + "," + all, "+" + all, "-" + all,
                                "-0", all + " 0", "0x" + Hex(hidden.size()), all + ".0", all + "e0",
                                all + "x", std::string("x"), std::string(), "18446744073709551616",
                                "18446744073709551615", all + "\x0b", "\"" + all + "\""}) {
    ExpectRefused(Infer("Content-Length: " + value + "\r\n", hidden));
  }
}

TEST_F(FramingAttack, ChunksThatAreBroken) {
  const std::string then = "\r\n0\r\n\r\n" + Hidden();
  using std::string_literals::operator""s;
  for (const std::string& body : {"5\nhello\n0\n\n"s + Hidden(),
                                  "+5\r\nhello"s + then,
                                  "-5\r\nhello"s + then,
                                  "0x5\r\nhello"s + then,
                                  " 5\r\nhello"s + then,
                                  "5 \r\nhello"s + then,
                                  "g\r\nhello"s + then,
                                  "\r\nhello"s + then,
                                  ";a\r\nhello"s + then,
                                  "5\r\nhelloX"s + then,
                                  "5\r\nhello0\r\n\r\n"s + Hidden(),
                                  "5;a\nb\r\nhello"s + then,
                                  "5\r\rhello"s + then,
                                  "10000000000000005\r\nhello"s + then,
                                  "fffffffffffffffff\r\nhello"s + then,
                                  "ffffffffffffffff\r\nhello"s + then,
                                  "5;\0\r\nhello"s + then,
                                  "5\0\r\nhello"s + then,
                                  "0\r\nX: y\nZ: w\r\n\r\n"s + Hidden(),
                                  "0\r\nX : y\r\n\r\n"s + Hidden(),
                                  "0\r\nContent-Length: 5\r\n\r\n"s + Hidden(),
                                  "0\r\nTransfer-Encoding: chunked\r\n\r\n"s + Hidden(),
                                  "0\r\nX\r\n\r\n"s + Hidden(),
                                  "0\n\n"s + Hidden(),
                                  "0\r\n\n"s + Hidden()}) {
    ExpectRefused(Infer("Transfer-Encoding: chunked\r\n", body));
  }
  ExpectOne(400, Infer("Transfer-Encoding: chunked\r\n", Hex(Hidden().size()) + ";a=b;c=\"d\"\r\n" +
                                                             Hidden() + "\r\n0\r\nX: y\r\n\r\n"));
}

TEST_F(FramingAttack, LineEndsOfOtherSystems) {
  std::string message = Infer(Length(Hidden().size()), Hidden());
  std::string bare = message;
  for (size_t at = 0; (at = bare.find("\r\n", at)) != std::string::npos;) bare.erase(at, 1);
  ExpectRefused(bare);
  std::string old = message;
  for (size_t at = 0; (at = old.find("\r\n", at)) != std::string::npos;) old.erase(at + 1, 1);
  ExpectRefused(old + "\r\n\r\n");
}

TEST_F(FramingAttack, BodiesWhereNoneBelongsStayBodies) {
  const std::string rest = " HTTP/1.1\r\nHost: t\r\n" + Length(Hidden().size()) + "\r\n" + Hidden();
  ExpectOne(200, "GET /v2" + rest);
  ExpectOne(404, "GET /nothing" + rest);
  ExpectOne(405, "DELETE /v2" + rest);
  ExpectOne(405, "BREW /v2" + rest);
  ExpectOne(400, Infer(Length(Hidden().size()), Hidden()));
  // Refused before the body was read: it is thrown away.
  const std::string large = Hidden() + std::string(2 * kMiB, ' ');
  ExpectRefused("POST /api/v1/models HTTP/1.1\r\nHost: t\r\n" + Length(large.size()) + "\r\n" +
                large);
  ExpectRefused(Infer(Length(Hidden().size()) + "Expect: the impossible\r\n", Hidden()));
  ExpectRefused(Infer("X: " + std::string(20'000, 'x') + "\r\n", Hidden()));
}

// ------------------------------------------------------------- storms of chunks

class ChunkStorm : public AttackTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Start({"--http-max-body", "1MiB"}));
    ASSERT_NO_FATAL_FAILURE(Watch());
  }

  // Sends the same chunk over and over, then the end.
  std::string Storm(const std::string& chunk, size_t count) {
    std::string many;
    while (many.size() < 64 << 10) many += chunk;
    const size_t at_once = many.size() / chunk.size();
    RawPeer peer(daemon().address());
    peer.Send(
        "POST /v2/models/bystander/infer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
        "chunked\r\n\r\n");
    bool taken = true;
    for (; taken && count >= at_once; count -= at_once) taken = peer.Send(many);
    if (taken) peer.Send(many.substr(0, count * chunk.size()) + "0\r\n\r\n" + kSentinel);
    return peer.ReadToEnd();
  }

  // A body of twice the limit's size would take that much.
  void ExpectLittleMemory() {
    EXPECT_LE(PeakRssBytes(daemon().pid()), before_ + 2 * kMiB + 2 * kMiB + SanitizerSlack());
  }

  uint64_t before_ = 0;
};

TEST_F(ChunkStorm, ThreeMegabytesInSingleBytes) {
  before_ = RssBytes(daemon().pid());
  const std::string said = Storm("1\r\n \r\n", 3'000'000);
  EXPECT_EQ((std::vector<int>{413}), Statuses(said)) << said;
  EXPECT_NE(std::string::npos, said.find("pieces")) << said;
  ExpectLittleMemory();
}

TEST_F(ChunkStorm, AMillionChunksWithExtensions) {
  before_ = RssBytes(daemon().pid());
  EXPECT_EQ((std::vector<int>{413}), Statuses(Storm("4;a=b\r\n    \r\n", 1'000'000)));
  EXPECT_EQ((std::vector<int>{413}),
            Statuses(Storm("40\r\n" + std::string(64, ' ') + "\r\n", 1'000'000)));
  ExpectLittleMemory();
}

TEST_F(ChunkStorm, AsManyAsAreAllowed) {
  before_ = RssBytes(daemon().pid());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ((std::vector<int>{400, 200}), Statuses(Storm("1\r\n \r\n", 65'000)));
    EXPECT_EQ((std::vector<int>{400, 200}),
              Statuses(Storm("10\r\n" + std::string(16, ' ') + "\r\n", 65'000)));
  }
  ExpectLittleMemory();
}

TEST_F(ChunkStorm, ExtensionsAndTrailersWithoutEnd) {
  EXPECT_EQ((std::vector<int>{400}), Statuses(Storm("1;a=" + std::string(60'000, 'x'), 10)));
  RawPeer peer(daemon().address());
  peer.Send(
      "POST /v2/models/bystander/infer HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n");
  while (!peer.HungUp() && peer.Send("X: y\r\n")) {
  }
  EXPECT_EQ((std::vector<int>{400}), Statuses(peer.ReadToEnd()));
}

}  // namespace
}  // namespace mlos::test
