// SPDX-License-Identifier: Apache-2.0
#include "rpc/rpc_fixture.h"

namespace mlos::rpc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

}  // namespace
}  // namespace mlos::rpc
