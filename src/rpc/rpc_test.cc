// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "rpc/fakes.h"

namespace mlos::rpc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RpcTest : public testing::Test {
 protected:
  RpcTest() : RpcTest(Options{}) {}
  explicit RpcTest(Options options) : dispatcher_(options) {
    dispatcher_.Add("/t.T/Unary", unary_);
    dispatcher_.Add("/t.T/Stream", stream_);
  }
  EchoMethod unary_{false};
  EchoMethod stream_{true};
  Dispatcher dispatcher_;
};

std::string Zeros(size_t size) {
  std::string zeros;
  zeros.resize(size);
  return zeros;
}

TEST_F(RpcTest, AnswersOneMessageWithOne) {
  Wire wire(dispatcher_);
  unary_.header = "yes";
  const Answer& a = wire.Ask("/t.T/Unary", "hello");
  EXPECT_TRUE(a.closed);
  ASSERT_EQ(2u, a.heads.size());
  EXPECT_EQ("200", a.heads[0].at(":status"));
  EXPECT_EQ("application/grpc", a.heads[0].at("content-type"));
  EXPECT_EQ("yes", a.heads[0].at("x-header"));
  EXPECT_THAT(a.messages(), ElementsAre("hello"));
  EXPECT_EQ("0", a.heads[1].at("grpc-status"));
  EXPECT_EQ(0u, a.heads[1].count("grpc-message"));
  EXPECT_EQ(1, unary_.seen.done);
  EXPECT_EQ(0, unary_.seen.cancelled);
  EXPECT_EQ(0u, wire.session().streams());
  EXPECT_THAT(wire.Ask("/t.T/Unary", "").messages(), ElementsAre(""));
}

TEST_F(RpcTest, AnswersWithTrailersOnlyWhatFailsAtOnce) {
  Wire wire(dispatcher_);
  const Answer& a = wire.Ask("/t.T/N%C3%B6", "x");
  EXPECT_TRUE(a.end_on_head);
  ASSERT_EQ(1u, a.heads.size());
  EXPECT_EQ("200", a.heads[0].at(":status"));
  EXPECT_EQ("12", a.status());
  EXPECT_EQ("there is no method '/t.T/N%25C3%25B6'", a.message());
}

TEST_F(RpcTest, StreamsBothWays) {
  Wire wire(dispatcher_);
  const int32_t id = wire.Open("/t.T/Stream");
  wire.Send(id, Framed("one"), false);
  wire.Pump();
  EXPECT_THAT(wire.answer(id).messages(), ElementsAre("one"));
  EXPECT_FALSE(wire.answer(id).closed);
  wire.Send(id, Framed("two") + Framed("three"), false);
  wire.Pump();
  EXPECT_THAT(wire.answer(id).messages(), ElementsAre("one", "two", "three"));
  wire.Send(id, "", true);
  wire.Pump();
  EXPECT_TRUE(wire.answer(id).closed);
  EXPECT_EQ("0", wire.answer(id).status());
  EXPECT_EQ(1, stream_.seen.half_closed);
}

TEST_F(RpcTest, StreamsOneWay) {
  Wire wire(dispatcher_);
  unary_.repeat = 3;
  EXPECT_THAT(wire.Ask("/t.T/Unary", "x").messages(), ElementsAre("x", "x", "x"));
  const Answer& none = wire.answer(wire.Open("/t.T/Stream", {}, true));
  wire.Pump();
  EXPECT_EQ("0", none.status());
  EXPECT_THAT(none.messages(), IsEmpty());
}

TEST_F(RpcTest, TakesMessagesHoweverTheyAreCut) {
  Wire wire(dispatcher_);
  const int32_t id = wire.Open("/t.T/Stream");
  const std::string all = Framed("alpha") + Framed("") + Framed("beta");
  for (const char c : all) {
    wire.Send(id, std::string(1, c), false);
    wire.Pump();
  }
  wire.Send(id, "", true);
  wire.Pump();
  EXPECT_THAT(wire.answer(id).messages(), ElementsAre("alpha", "", "beta"));
}

TEST_F(RpcTest, HandsOverMetadata) {
  Wire wire(dispatcher_);
  wire.Ask("/t.T/Unary", "x", {{"seen", "text"}, {"seen-bin", EncodeBinary({"\0\xff\x01", 3})}});
  EXPECT_EQ("text", unary_.seen.text);
  EXPECT_EQ(std::string("\0\xff\x01", 3), unary_.seen.binary);
}

TEST_F(RpcTest, TurnsATimeoutIntoADeadline) {
  Wire wire(dispatcher_);
  const uint64_t before = NowNanos();
  wire.Ask("/t.T/Unary", "x", {{"grpc-timeout", "5S"}});
  EXPECT_GE(unary_.seen.deadline_ns, before + 5 * kNanosPerSecond);
  EXPECT_LE(unary_.seen.deadline_ns, NowNanos() + 5 * kNanosPerSecond);
  wire.Ask("/t.T/Unary", "x");
  EXPECT_EQ(0u, unary_.seen.deadline_ns);
  for (const char* bad : {"5", "S", "123456789S", "-1S", "1x", "1.5S"}) {
    EXPECT_EQ("3", wire.Ask("/t.T/Unary", "x", {{"grpc-timeout", bad}}).status()) << bad;
  }
}

TEST_F(RpcTest, EndsWhatIsLate) {
  Wire wire(dispatcher_);
  const int32_t id = wire.Open("/t.T/Stream", {{"grpc-timeout", "10m"}});
  wire.Pump();
  wire.session().Sweep(NowNanos() + kNanosPerSecond);
  wire.Pump();
  EXPECT_EQ("4", wire.answer(id).status());
  EXPECT_EQ(1, stream_.seen.cancelled);
  EXPECT_EQ(1, stream_.seen.done);
}

TEST_F(RpcTest, EndsAMessageThatDoesNotArrive) {
  Wire wire(dispatcher_);
  const int32_t nothing = wire.Open("/t.T/Unary");
  const int32_t part = wire.Open("/t.T/Stream");
  wire.Send(part, Framed(std::string(100, 'x')).substr(0, 50), false);
  const int32_t quiet = wire.Open("/t.T/Stream");
  wire.Pump();
  wire.session().Sweep(NowNanos() + 20 * kNanosPerSecond);
  wire.Pump();
  EXPECT_FALSE(wire.answer(nothing).closed);
  wire.session().Sweep(NowNanos() + 32 * kNanosPerSecond);
  wire.Pump();
  EXPECT_EQ("4", wire.answer(nothing).status());
  EXPECT_EQ("4", wire.answer(part).status());
  EXPECT_FALSE(wire.answer(quiet).closed);
}

// ------------------------------------------------------------------- encodings

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

// ----------------------------------------------------------------------- rules

TEST_F(RpcTest, RefusesTheWrongNumberOfMessages) {
  Wire wire(dispatcher_);
  const int32_t none = wire.Open("/t.T/Unary", {}, true);
  wire.Pump();
  EXPECT_EQ("12", wire.answer(none).status());
  EXPECT_THAT(wire.answer(none).message(), HasSubstr("none came"));
  const int32_t cut = wire.Open("/t.T/Unary");
  wire.Send(cut, Framed("abcdef").substr(0, 7), true);
  wire.Pump();
  EXPECT_EQ("13", wire.answer(cut).status());
  EXPECT_EQ(unary_.seen.begun, unary_.seen.done);
}

TEST_F(RpcTest, TellsWhatIsNotGrpc) {
  Wire wire(dispatcher_);
  const Answer& type = wire.Ask("/t.T/Unary", "x", {{"content-type", "application/json"}});
  EXPECT_EQ("415", type.heads.at(0).at(":status"));
  EXPECT_THAT(type.data, HasSubstr("gRPC"));
  const Answer& get = wire.Ask("/t.T/Unary", "x", {{":method", "PUT"}});
  EXPECT_EQ("405", get.heads.at(0).at(":status"));
  EXPECT_TRUE(get.closed);
}

TEST_F(RpcTest, RefusesTooMuchMetadata) {
  Wire wire(dispatcher_);
  Fields many;
  many.reserve(20);
  for (int i = 0; i < 20; ++i) many.emplace_back("x" + std::to_string(i), std::string(1000, 'v'));
  EXPECT_EQ("8", wire.Ask("/t.T/Unary", "x", many).status());
  // Also where what says that it is a call comes behind all that.
  const Fields first = {
      {":method", "POST"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/t.T/Unary"}};
  many.insert(many.begin(), first.begin(), first.end());
  many.emplace_back("content-type", "application/grpc");
  std::vector<nghttp2_nv> head;
  head.reserve(many.size());
  for (auto& [name, value] : many) {
    head.push_back({reinterpret_cast<uint8_t*>(name.data()),
                    reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(),
                    NGHTTP2_NV_FLAG_NONE});
  }
  const int32_t late =
      nghttp2_submit_request(wire.client(), nullptr, head.data(), head.size(), nullptr, nullptr);
  wire.Pump();
  EXPECT_EQ("8", wire.answer(late).status());
  EXPECT_EQ(0, unary_.seen.begun);
  EXPECT_EQ("0", wire.Ask("/t.T/Unary", "x").status());
}

// The library sends no head beyond 64 KiB, and says nothing of it to the client.
TEST_F(RpcTest, EndsACallWhoseHeadOrTrailersCannotBeSent) {
  Wire wire(dispatcher_);
  unary_.header = std::string(70'000, 'h');
  const Answer& head = wire.Ask("/t.T/Unary", "x");
  EXPECT_TRUE(head.closed);
  EXPECT_EQ(NGHTTP2_INTERNAL_ERROR, static_cast<int>(head.error_code));
  EXPECT_EQ(1, unary_.seen.done);

  const int32_t id = wire.Open("/t.T/Stream");
  wire.Send(id, Framed("y"), false);
  wire.Pump();
  stream_.seen.calls.at(0)->AddTrailer("x-trailer", std::string(70'000, 't'));
  wire.Send(id, "", true);
  wire.Pump();
  EXPECT_EQ(NGHTTP2_INTERNAL_ERROR, static_cast<int>(wire.answer(id).error_code));
  EXPECT_EQ(1, stream_.seen.done);
  EXPECT_FALSE(wire.session().over());
}

TEST_F(RpcTest, CutsWhatAStatusSays) {
  h2::Limits limits;
  limits.max_header_bytes = 32 << 10;
  Wire wire(dispatcher_, limits);
  const Answer& path = wire.Ask("/" + std::string(22'000, '%'), "x");
  EXPECT_EQ("12", path.status());
  EXPECT_LT(path.message().size(), 1000u);

  const int32_t id = wire.Open("/t.T/Stream");
  wire.Pump();
  std::string text = "x";
  for (int i = 0; i < 30'000; ++i) text += "\xc3\xa4";
  stream_.seen.calls.at(0)->Finish(Internal(text));
  wire.Pump();
  EXPECT_EQ("13", wire.answer(id).status());
  EXPECT_EQ(1u + 1023 * 6, wire.answer(id).message().size());  // whole characters
}

// Answers before it has seen all.
class HastyMethod final : public Method {
 public:
  Handler* Begin(Call& call) override { return new Hasty(*this, call); }
  int ends = 0;

 private:
  class Hasty final : public Handler {
   public:
    Hasty(HastyMethod& method, Call& call) : method_(method), call_(call) {}
    void OnMessage(std::optional<uint64_t>) override {}
    size_t OnData(std::span<const std::byte> data) override {
      call_.Finish(NotFound("no"));
      return data.size();
    }
    void OnMessageEnd() override { ++method_.ends; }
    void OnCancel() override {}
    void OnDone() override { delete this; }

   private:
    HastyMethod& method_;
    Call& call_;
  };
};

TEST_F(RpcTest, TellsNothingMoreToWhoHasAnswered) {
  HastyMethod hasty;
  dispatcher_.Add("/t.T/Hasty", hasty);
  Wire wire(dispatcher_);
  EXPECT_EQ("5", wire.Ask("/t.T/Hasty", "x").status());
  EXPECT_EQ(0, hasty.ends);
}

// Calls whose handlers wait fill the connection's window: others cannot arrive,
// and are not late.
TEST_F(RpcTest, WaitsForAnUploadThatOthersHoldUp) {
  h2::Limits limits;
  limits.stream_window = limits.connection_window = 65'535;
  Wire wire(dispatcher_, limits);
  stream_.take_nothing = true;
  const int32_t full = wire.Open("/t.T/Stream");
  wire.Send(full, Framed(std::string(100'000, 'f')), true);
  wire.Pump();
  const int32_t other = wire.Open("/t.T/Unary");
  wire.Send(other, Framed("x"), true);
  wire.Pump();
  wire.session().Sweep(NowNanos() + 32 * kNanosPerSecond);
  wire.Pump();
  EXPECT_FALSE(wire.answer(other).closed);
  stream_.take_nothing = false;
  stream_.seen.calls.at(0)->Resume();
  wire.Pump();
  EXPECT_EQ("0", wire.answer(other).status());
}

TEST_F(RpcTest, RefusesNewCallsWhenDraining) {
  Wire wire(dispatcher_);
  dispatcher_.set_draining();
  EXPECT_EQ("14", wire.Ask("/t.T/Unary", "x").status());
}

// ---------------------------------------------------------------------- ending

TEST_F(RpcTest, CancelsWhatTheClientResets) {
  Wire wire(dispatcher_);
  const int32_t id = wire.Open("/t.T/Stream");
  wire.Send(id, Framed("x"), false);
  wire.Pump();
  wire.Reset(id);
  wire.Pump();
  EXPECT_EQ(1, stream_.seen.cancelled);
  EXPECT_EQ(1, stream_.seen.done);
  EXPECT_EQ("0", wire.Ask("/t.T/Unary", "x").status());
}

TEST_F(RpcTest, CancelsEverythingWithTheConnection) {
  Wire wire(dispatcher_);
  wire.Send(wire.Open("/t.T/Stream"), Framed("x"), false);
  wire.Send(wire.Open("/t.T/Unary"), Framed("xyz").substr(0, 6), false);
  wire.Pump();
  wire.CloseServer();
  EXPECT_EQ(1, stream_.seen.cancelled);
  EXPECT_EQ(1, stream_.seen.done);
  EXPECT_EQ(1, unary_.seen.cancelled);
  EXPECT_EQ(1, unary_.seen.done);
}

// ----------------------------------------------------------------- large things

TEST_F(RpcTest, MovesALargeMessageThroughSmallWindows) {
  Wire wire(dispatcher_);
  std::string large(64 << 20, '\0');
  for (size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>(i);
  const Answer& a = wire.Ask("/t.T/Unary", large);
  EXPECT_EQ("0", a.status());
  const auto messages = a.messages();
  ASSERT_EQ(1u, messages.size());
  EXPECT_TRUE(messages[0] == large);
}

TEST_F(RpcTest, LetsASlowReaderWait) {
  Wire wire(dispatcher_, {}, 65535, /*auto_window=*/false);
  const int32_t slow = wire.Open("/t.T/Unary");
  wire.Send(slow, Framed(std::string(1 << 20, 's')), true);
  wire.Pump();
  // What the window lets through, and not more; it is still whole.
  EXPECT_EQ(65535u, wire.answer(slow).data.size());
  EXPECT_EQ(0, unary_.seen.done);
  EXPECT_LT(wire.session().memory(), 256u << 10);
  while (wire.answer(slow).data.size() < (1u << 20) + 5) {
    const size_t before = wire.answer(slow).data.size();
    nghttp2_session_consume(wire.client(), slow, 32 << 10);
    wire.Pump();
    ASSERT_GT(wire.answer(slow).data.size(), before);
  }
  wire.Pump();
  EXPECT_EQ("0", wire.answer(slow).status());
  EXPECT_EQ(1, unary_.seen.done);
}

// A model's memory is not for the slow to keep: what they do not take is copied.
TEST_F(RpcTest, CopiesWhatASlowReaderHasNotTaken) {
  Wire wire(dispatcher_, {}, 65535, /*auto_window=*/false);
  std::string large(1 << 20, '\0');
  for (size_t i = 0; i < large.size(); i += 7) large[i] = static_cast<char>(i);
  const int32_t slow = wire.Open("/t.T/Stream");
  wire.Send(slow, Framed(large), false);
  wire.Pump();
  wire.session().Sweep(NowNanos() + kNanosPerSecond / 2);
  EXPECT_EQ(0, stream_.seen.released);
  for (int i = 0; i < 3; ++i) wire.session().Sweep(NowNanos() + 2 * kNanosPerSecond);
  wire.Pump();
  EXPECT_EQ(1, stream_.seen.released);  // and its memory is written over
  EXPECT_EQ(large.size() + 5 - 65535, wire.owner().reserved);
  wire.Send(slow, "", true);
  while (!wire.answer(slow).closed) {
    const size_t before = wire.answer(slow).data.size();
    nghttp2_session_consume(wire.client(), slow, 32 << 10);
    wire.Pump();
    ASSERT_TRUE(wire.answer(slow).closed || wire.answer(slow).data.size() > before);
  }
  EXPECT_EQ("0", wire.answer(slow).status());
  EXPECT_TRUE(wire.answer(slow).messages().at(0) == large);
  EXPECT_EQ(0u, wire.owner().reserved);
}

// A large answer is copied in turns, while its client takes of it what it likes.
TEST_F(RpcTest, CopiesInTurnsWhatIsTakenMeanwhile) {
  std::string large(8 << 20, '\0');
  for (size_t i = 0; i < large.size(); i += 7) large[i] = static_cast<char>(i * 31);
  // Of turns before it is taken, and of bytes in between.
  for (const auto& [turns, bytes] : {std::pair<int, int>{0, 0}, {1, 0}, {3, 1000}, {1, 1 << 20}}) {
    Wire wire(dispatcher_, {}, 65535, /*auto_window=*/false);
    const int32_t slow = wire.Open("/t.T/Unary");
    wire.Send(slow, Framed(large), true);
    wire.Pump();
    nghttp2_session_consume_connection(wire.client(), 65535);
    nghttp2_session_set_local_window_size(wire.client(), NGHTTP2_FLAG_NONE, 0, 64 << 20);
    wire.Pump();
    const int released = unary_.seen.released;
    wire.session().Sweep(NowNanos() + 2 * kNanosPerSecond);
    EXPECT_EQ(large.size() + 5 - 65535, wire.owner().reserved);
    int window = 65535;
    for (int i = 0; i < 20 && unary_.seen.released == released; ++i) {
      for (int k = 0; k < turns; ++k) wire.session().Turn();
      EXPECT_TRUE(i > 0 || unary_.seen.released == released);  // not all of it at once
      window += bytes;
      nghttp2_session_set_local_window_size(wire.client(), NGHTTP2_FLAG_NONE, slow, window);
      wire.Pump(/*turns=*/turns == 0);
    }
    EXPECT_EQ(released + 1, unary_.seen.released);
    nghttp2_session_set_local_window_size(wire.client(), NGHTTP2_FLAG_NONE, slow, 16 << 20);
    wire.Pump();
    EXPECT_EQ("0", wire.answer(slow).status());
    EXPECT_TRUE(wire.answer(slow).messages().at(0) == large) << turns << " " << bytes;
    EXPECT_EQ(0u, wire.owner().reserved);
  }
}

TEST_F(RpcTest, CopiesForNobodyWhoIsGone) {
  Wire wire(dispatcher_, {}, 65535, /*auto_window=*/false);
  const int32_t slow = wire.Open("/t.T/Unary");
  wire.Send(slow, Framed(std::string(4 << 20, 's')), true);
  wire.Pump();
  wire.session().Sweep(NowNanos() + 2 * kNanosPerSecond);
  wire.session().Turn();
  EXPECT_EQ(0, unary_.seen.released);
  wire.Reset(slow);
  wire.Pump();
  EXPECT_EQ(1, unary_.seen.done);
  EXPECT_EQ(0u, wire.owner().reserved);
}

TEST_F(RpcTest, ResetsASlowReaderWhereThereIsNoMemoryForACopy) {
  Wire wire(dispatcher_, {}, 65535, /*auto_window=*/false);
  const int32_t slow = wire.Open("/t.T/Unary");
  wire.Send(slow, Framed(std::string(1 << 20, 's')), true);
  wire.Pump();
  wire.owner().limit = 1000;
  wire.session().Sweep(NowNanos() + 2 * kNanosPerSecond);
  wire.Pump();
  EXPECT_EQ(NGHTTP2_ENHANCE_YOUR_CALM, static_cast<int>(wire.answer(slow).error_code));
  EXPECT_EQ(1, unary_.seen.done);
  EXPECT_EQ(0u, wire.owner().reserved);
}

// A byte now and then is progress, but no way to take a megabyte.
TEST_F(RpcTest, GivesUpAReaderThatReadsByteByByte) {
  h2::Limits limits;
  limits.transfer_timeout_ns = 100 * kNanosPerMilli;
  limits.idle_frame_burst = 1'000'000;
  Wire wire(dispatcher_, limits, 65535, /*auto_window=*/false);
  const int32_t slow = wire.Open("/t.T/Unary");
  wire.Send(slow, Framed(std::string(1 << 20, 's')), true);
  wire.Pump();
  const uint64_t until = NowNanos() + 20 * kNanosPerSecond;
  while (!wire.answer(slow).closed && NowNanos() < until) {
    wire.Raw(Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, static_cast<uint32_t>(slow), {"\0\0\0\1", 4}));
    wire.PumpDown();
    wire.session().Sweep(NowNanos());
  }
  EXPECT_EQ(NGHTTP2_CANCEL, static_cast<int>(wire.answer(slow).error_code));
  EXPECT_FALSE(wire.session().over());
}

// Its rate is what it takes of all answers, those included that are taken already.
TEST_F(RpcTest, LeavesAReaderItsTimeWhenTheOthersAreDone) {
  constexpr uint64_t kPatience = kNanosPerSecond;
  h2::Limits limits;
  limits.transfer_timeout_ns = kPatience;
  limits.min_bytes_per_second = 1 << 20;
  limits.idle_frame_burst = 1'000'000;
  Wire wire(dispatcher_, limits, 65535, /*auto_window=*/false);
  nghttp2_session_set_local_window_size(wire.client(), NGHTTP2_FLAG_NONE, 0, 64 << 20);
  const int32_t last = wire.Open("/t.T/Unary");
  wire.Send(last, Framed(std::string(1 << 20, 's')), true);
  wire.Pump();
  const uint64_t begun_ns = NowNanos();
  const int32_t other = wire.Open("/t.T/Unary");
  wire.Send(other, Framed(std::string(8 << 20, 'o')), true);
  wire.Pump();
  nghttp2_session_set_local_window_size(wire.client(), NGHTTP2_FLAG_NONE, other, 16 << 20);
  wire.Pump();
  ASSERT_TRUE(wire.answer(other).closed);
  for (uint64_t now = NowNanos(); now < begun_ns + kPatience * 5 / 4; now = NowNanos()) {
    wire.Raw(Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, static_cast<uint32_t>(last), {"\0\0\0\1", 4}));
    wire.PumpDown();
    if (NowNanos() > now + kPatience / 2) GTEST_SKIP() << "this machine stands still";
    wire.session().Sweep(NowNanos());
  }
  EXPECT_FALSE(wire.answer(last).closed);
}

TEST_F(RpcTest, GivesUpAConnectionThatReadsByteByByte) {
  h2::Limits limits;
  limits.transfer_timeout_ns = 10 * kNanosPerMilli;
  limits.min_bytes_per_second = uint64_t{1} << 40;  // or these bytes are too fast
  Wire wire(dispatcher_, limits, 2 << 20);
  const int32_t slow = wire.Open("/t.T/Unary");
  wire.Pump();
  wire.Send(slow, Framed(std::string(900'000, 's')), true);
  wire.PumpUp();
  const uint64_t until = NowNanos() + 20 * kNanosPerSecond;
  while (!wire.session().over() && NowNanos() < until) {
    iovec piece;
    ASSERT_EQ(1u, wire.session().Gather(&piece, 1));
    wire.session().Advance(1);
    wire.session().Sweep(NowNanos());
  }
  EXPECT_EQ(h2::End::kSlow, wire.session().end());
  EXPECT_EQ(unary_.seen.begun, unary_.seen.done);
}

TEST_F(RpcTest, GivesUpAReaderThatDoesNotRead) {
  Wire wire(dispatcher_, {}, 65535, /*auto_window=*/false);
  const int32_t slow = wire.Open("/t.T/Unary");
  wire.Send(slow, Framed(std::string(1 << 20, 's')), true);
  wire.Pump();
  wire.session().Sweep(NowNanos() + 31 * kNanosPerSecond);
  wire.Pump();
  EXPECT_TRUE(wire.answer(slow).closed);
  EXPECT_EQ(NGHTTP2_CANCEL, static_cast<int>(wire.answer(slow).error_code));
  EXPECT_EQ(1, unary_.seen.done);
}

TEST_F(RpcTest, StopsAClientWhileTheHandlerWaits) {
  h2::Limits limits;
  limits.stream_window = 65536;
  Wire wire(dispatcher_, limits);
  unary_.take_nothing = true;
  const int32_t id = wire.Open("/t.T/Unary");
  const std::string large(1 << 20, 'w');
  wire.Send(id, Framed(large), true);
  wire.Pump();
  EXPECT_LE(wire.owner().most, 65536u);
  EXPECT_GT(wire.owner().most, 60000u);
  // Another call is not held up.
  EXPECT_EQ("0", wire.Ask("/t.T/Stream", "y").status());
  unary_.take_nothing = false;
  ASSERT_EQ(1u, unary_.seen.calls.size());
  unary_.seen.calls[0]->Resume();
  wire.Pump();
  EXPECT_EQ("0", wire.answer(id).status());
  EXPECT_TRUE(wire.answer(id).messages().at(0) == large);
  EXPECT_EQ(0u, wire.owner().reserved);
}

TEST_F(RpcTest, ResumesInTheMiddleOfACompressedMessage) {
  Wire wire(dispatcher_);
  unary_.take_nothing = true;
  const std::string text(200'000, 'c');
  const int32_t id = wire.Open("/t.T/Unary", {{"grpc-encoding", "gzip"}});
  wire.Send(id, Framed(Zip(text, Coding::kGzip), true), true);
  wire.Pump();
  EXPECT_FALSE(wire.answer(id).closed);
  unary_.take_nothing = false;
  unary_.seen.calls.at(0)->Resume();
  wire.Pump();
  EXPECT_EQ("0", wire.answer(id).status());
  EXPECT_TRUE(wire.answer(id).messages().at(0) == text);
}

// A stream may go on for days.
TEST_F(RpcTest, GivesBackTheMemoryOfWhatNoLongerWaits) {
  Wire wire(dispatcher_);
  stream_.budget = 0;
  const int32_t id = wire.Open("/t.T/Stream");
  const std::string text(20'000, 's');
  wire.Send(id, Framed(text), false);
  wire.Pump();
  EXPECT_GE(wire.owner().reserved, 20'000u);
  stream_.budget = 15'000;
  stream_.seen.calls.at(0)->Resume();
  wire.Pump();
  EXPECT_LE(wire.owner().reserved, 5'005u);
  EXPECT_THAT(wire.answer(id).messages(), IsEmpty());
  stream_.budget = SIZE_MAX;
  stream_.seen.calls.at(0)->Resume();
  wire.Pump();
  EXPECT_THAT(wire.answer(id).messages(), ElementsAre(text));
  EXPECT_FALSE(wire.answer(id).closed);
  EXPECT_EQ(0u, wire.owner().reserved);
}

TEST_F(RpcTest, RefusesWhatWaitsWithoutMemory) {
  Wire wire(dispatcher_);
  wire.owner().limit = 1000;
  unary_.take_nothing = true;
  const Answer& a = wire.Ask("/t.T/Unary", std::string(5000, 'x'));
  EXPECT_EQ("8", a.status());
  EXPECT_EQ(0u, wire.owner().reserved);
}

}  // namespace
}  // namespace mlos::rpc
