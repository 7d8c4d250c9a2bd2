// SPDX-License-Identifier: Apache-2.0
//
// Messages that come and go compressed.
#include "rpc/rpc_fixture.h"

namespace mlos::rpc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Zeros(size_t size) {
  std::string zeros;
  zeros.resize(size);
  return zeros;
}

TEST_F(RpcTest, ReadsAndWritesCompressedMessages) {
  for (const Coding encoding : {Coding::kGzip, Coding::kDeflate}) {
    Wire wire(dispatcher_);
    const std::string name(compress::CodingName(encoding));
    const std::string text(100'000, 'a');
    const int32_t id = wire.Open(
        "/t.T/Stream", {{"grpc-encoding", name}, {"grpc-accept-encoding", "identity, " + name}});
    wire.Send(id, Framed(Zip(text, encoding), true) + Framed("plain") + Framed("", true), true);
    wire.Pump();
    const Answer& a = wire.answer(id);
    EXPECT_EQ("0", a.status()) << a.message();
    EXPECT_EQ(name, a.header("grpc-encoding"));
    std::string flags;
    const auto messages = a.messages(&flags);
    EXPECT_EQ("100", flags);
    ASSERT_EQ(3u, messages.size());
    EXPECT_LT(messages[0].size(), 1000u);
    EXPECT_EQ(text, Unzip(messages[0], encoding));
    EXPECT_EQ("plain", messages[1]);
    EXPECT_EQ("", messages[2]);
    EXPECT_EQ(0u, wire.owner().reserved);
  }
}

// Bytes of which no two runs are alike, and that still shrink a little.
std::string Digits(size_t bytes) {
  std::string out;
  out.reserve(bytes + 20);
  for (uint64_t i = 1; out.size() < bytes; ++i) out += std::to_string(i * 0x9e3779b97f4a7c15);
  out.resize(bytes);
  return out;
}

// Compression is work: others get their turn in between, both ways.
TEST_F(RpcTest, CompressesInTurns) {
  Wire wire(dispatcher_);
  const std::string text = Digits(3'000'000);
  const int32_t id =
      wire.Open("/t.T/Unary", {{"grpc-encoding", "gzip"}, {"grpc-accept-encoding", "gzip"}});
  const std::string packed = Framed(Zip(text, Coding::kGzip), true);
  wire.Send(id, packed, true);
  int turns = 0;
  for (; !wire.answer(id).closed && turns < 1000; ++turns) {
    wire.PumpUp();
    wire.PumpDown();
    EXPECT_EQ("0", wire.Ask("/t.T/Stream", "other", /*more=*/{}, /*turns=*/false).status());
    if (std::exchange(wire.owner().turn, false)) wire.session().Turn();
  }
  EXPECT_GT(turns, 50);
  EXPECT_EQ("0", wire.answer(id).status()) << wire.answer(id).message();
  std::string flags;
  const auto messages = wire.answer(id).messages(&flags);
  ASSERT_EQ("1", flags);
  EXPECT_TRUE(Unzip(messages[0], Coding::kGzip) == text);
  EXPECT_EQ(0u, wire.owner().reserved);
}

// However many streams have work left, others get their turn soon: so many
// slices as there are take many turns.
TEST_F(RpcTest, DoesNotWorkForAllStreamsInOneTurn) {
  h2::Limits limits;
  limits.max_streams = 200;
  Wire wire(dispatcher_, limits);
  const std::string packed = Framed(Zip(std::string(1 << 20, '\0'), Coding::kGzip), true);
  std::vector<int32_t> ids;
  ids.reserve(100);
  for (int i = 0; i < 100; ++i) {
    ids.push_back(wire.Open("/t.T/Unary", {{"grpc-encoding", "gzip"}}));
    wire.Send(ids.back(), packed, true);
  }
  wire.PumpUp();
  int turns = 0;
  while (std::exchange(wire.owner().turn, false) && turns < 100'000) {
    wire.session().Turn();
    ++turns;
  }
  // Four slices each, and not more than a few of them in a millisecond.
  EXPECT_GT(turns, 12);
  wire.Pump();
  for (const int32_t id : ids) ASSERT_EQ("0", wire.answer(id).status());
  EXPECT_EQ(0u, wire.owner().reserved);
}

// Who only says that it will compress takes nothing of what others may need.
TEST_F(RpcTest, TakesMemoryForDecompressingWhileItDoes) {
  Wire wire(dispatcher_);
  const int32_t id = wire.Open("/t.T/Stream", {{"grpc-encoding", "gzip"}});
  wire.Pump();
  EXPECT_EQ(0u, wire.owner().most);
  const std::string message = Framed(Zip("one", Coding::kGzip), true);
  wire.Send(id, message.substr(0, 10), false);
  wire.Pump();
  EXPECT_GT(wire.owner().reserved, 0u);
  wire.Send(id, message.substr(10), false);
  wire.Pump();
  EXPECT_THAT(wire.answer(id).messages(), ElementsAre("one"));
  EXPECT_EQ(0u, wire.owner().reserved);
  wire.owner().limit = 1000;
  wire.Send(id, message, true);
  wire.Pump();
  EXPECT_EQ("8", wire.answer(id).status());
  EXPECT_EQ(stream_.seen.begun, stream_.seen.done);
}

// It is sent as it is where compressing does not pay.
TEST_F(RpcTest, StopsCompressingNoise) {
  Wire wire(dispatcher_);
  const std::string noise = Zip(Digits(2'000'000), Coding::kDeflate);
  const Answer& a = wire.Ask("/t.T/Unary", noise,
                             {{"grpc-encoding", "deflate"}, {"grpc-accept-encoding", "deflate"}});
  std::string flags;
  EXPECT_TRUE(a.messages(&flags).at(0) == noise);
  EXPECT_EQ("0", flags);
  EXPECT_EQ("0", a.status());
  EXPECT_EQ(0u, wire.owner().reserved);
}

TEST_F(RpcTest, StopsWhatIsCompressedForNobody) {
  Wire wire(dispatcher_);
  const int32_t id = wire.Open(
      "/t.T/Unary",
      {{"grpc-encoding", "gzip"}, {"grpc-accept-encoding", "gzip"}, {"grpc-timeout", "1S"}});
  wire.Send(id, Framed(Digits(1'000'000)), true);
  wire.Pump(/*turns=*/false);
  ASSERT_TRUE(wire.owner().turn);
  EXPECT_FALSE(wire.answer(id).closed);
  wire.Reset(id);
  wire.Pump();
  EXPECT_EQ(1, unary_.seen.done);
  EXPECT_EQ(0u, wire.owner().reserved);
  EXPECT_EQ("0", wire.Ask("/t.T/Unary", "x").status());
}

TEST_F(RpcTest, RefusesABombBeforeItIsLarge) {
  Wire wire(dispatcher_);
  const std::string bomb = Zip(Zeros(60'000'000), Coding::kGzip);
  const int32_t id = wire.Open("/t.T/Unary", {{"grpc-encoding", "gzip"}});
  wire.Send(id, Framed(bomb, true), true);
  wire.Pump();
  EXPECT_EQ("8", wire.answer(id).status());
  EXPECT_THAT(wire.answer(id).message(), HasSubstr("200 times its size"));
  EXPECT_EQ(0u, wire.owner().reserved);
  EXPECT_EQ(1, unary_.seen.cancelled);
}

TEST_F(RpcTest, DoesNotCompressForWhoDoesNot) {
  Wire wire(dispatcher_);
  const Answer& a =
      wire.Ask("/t.T/Unary", std::string(10'000, 'a'), {{"grpc-accept-encoding", "gzip"}});
  EXPECT_EQ("", a.header("grpc-encoding"));
  EXPECT_EQ(10'000u, a.messages().at(0).size());
}

TEST_F(RpcTest, RefusesWhatItCannotDecompress) {
  Wire wire(dispatcher_);
  const Answer& unknown = wire.Ask("/t.T/Unary", "x", {{"grpc-encoding", "snappy"}});
  EXPECT_EQ("12", unknown.status());
  EXPECT_EQ("identity,deflate,gzip", unknown.header("grpc-accept-encoding"));

  const std::string whole = Zip(std::string(1000, 'q'), Coding::kGzip);
  std::string damaged = whole;
  damaged[15] = static_cast<char>(damaged[15] ^ 0x55);
  const std::string bodies[] = {
      Framed(damaged, true),        Framed(whole.substr(0, whole.size() - 9), true),
      Framed(whole + "more", true), Framed(Zip("x", Coding::kDeflate), true),
      "\2" + Framed("x").substr(1),
  };
  for (const std::string& body : bodies) {
    const int32_t id = wire.Open("/t.T/Unary", {{"grpc-encoding", "gzip"}});
    wire.Send(id, body, true);
    wire.Pump();
    EXPECT_EQ("13", wire.answer(id).status());
  }
  const int32_t id = wire.Open("/t.T/Unary");
  wire.Send(id, Framed(whole, true), true);
  wire.Pump();
  EXPECT_EQ("13", wire.answer(id).status());
  EXPECT_THAT(wire.answer(id).message(), HasSubstr("grpc-encoding"));
}

class SmallMessages : public RpcTest {
 protected:
  SmallMessages() : RpcTest(Options{.max_message_bytes = 100'000}) {}
};

TEST_F(SmallMessages, AreTheLimitBeforeAndAfterDecompression) {
  Wire wire(dispatcher_);
  EXPECT_EQ("0", wire.Ask("/t.T/Unary", std::string(100'000, 'x')).status());
  const Answer& large = wire.Ask("/t.T/Unary", std::string(100'001, 'x'));
  EXPECT_EQ("8", large.status());
  EXPECT_THAT(large.message(), HasSubstr("100001"));
  EXPECT_EQ(1, unary_.seen.cancelled);

  const std::string bomb = Zip(Zeros(50'000'000), Coding::kGzip);
  ASSERT_LT(bomb.size(), 100'000u);
  const int32_t id = wire.Open("/t.T/Unary", {{"grpc-encoding", "gzip"}});
  wire.Send(id, Framed(bomb, true), true);
  wire.Pump();
  EXPECT_EQ("8", wire.answer(id).status());
  EXPECT_EQ(0u, wire.owner().reserved);
}

}  // namespace
}  // namespace mlos::rpc
