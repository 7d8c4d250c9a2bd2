// SPDX-License-Identifier: Apache-2.0
//
// How connections and calls end: timeouts, draining, and who gives up at any
// stage.
#include "rpc/flood_fixture.h"

namespace mlos::rpc {
namespace {

using EndsTest = FloodTest;

// -------------------------------------------------------------------- timeouts

TEST_F(EndsTest, EndsWhoSaysNothing) {
  Wire wire(dispatcher_);
  wire.session().Sweep(NowNanos() + 9 * kNanosPerSecond);
  EXPECT_FALSE(wire.session().over());
  wire.session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_EQ(End::kSlow, wire.session().end());
}

TEST_F(EndsTest, EndsWhoDoesNotEndItsHeader) {
  auto wire = Connect();
  wire->Raw(Wire::Frame(NGHTTP2_HEADERS, 0, 1, {"\x82", 1}));
  wire->session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_EQ(End::kSlow, wire->session().end());
}

TEST_F(EndsTest, EndsWhoDoesNotEndItsTrailers) {
  auto wire = Connect();
  const auto id = static_cast<uint32_t>(wire->Open("/t.T/Stream"));
  wire->Pump();
  wire->session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_FALSE(wire->session().over());
  wire->Raw(Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, id, {"\0\1a\1b", 5}));
  wire->session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_EQ(End::kSlow, wire->session().end());
}

// The library says nothing of the head of a stream that is there no more.
TEST_F(EndsTest, EndsWhoDoesNotEndAHeaderThatIsIgnored) {
  auto wire = Connect();
  wire->Ask("/t.T/Unary", "x");
  const auto id = static_cast<uint32_t>(wire->Open("/t.T/Stream"));
  wire->Pump();
  wire->Raw(Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, {"\x82", 1}));
  wire->session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_FALSE(wire->session().over());
  wire->Raw(Wire::Frame(NGHTTP2_RST_STREAM, 0, id, {"\0\0\0\x08", 4}));
  const std::string head =
      Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, {"\x82\x84", 2});
  wire->Raw(head.substr(0, head.size() - 1));
  EXPECT_FALSE(wire->session().over());
  wire->session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_EQ(End::kSlow, wire->session().end());
}

TEST_F(EndsTest, EndsWhoIsIdle) {
  auto wire = Connect();
  wire->Ask("/t.T/Unary", "x");
  wire->session().Sweep(NowNanos() + 299 * kNanosPerSecond);
  EXPECT_FALSE(wire->session().over());
  wire->session().Sweep(NowNanos() + 301 * kNanosPerSecond);
  EXPECT_EQ(End::kIdle, wire->session().end());
  wire->PumpDown();
  EXPECT_EQ(1, wire->goaways);
  EXPECT_EQ(NGHTTP2_NO_ERROR, static_cast<int>(wire->goaway_code));
}

TEST_F(EndsTest, AsksAQuietClientWhetherItIsThere) {
  auto wire = Connect();
  wire->Send(wire->Open("/t.T/Stream"), Framed("x"), false);
  wire->Pump();
  wire->session().Sweep(NowNanos() + 61 * kNanosPerSecond);
  wire->Pump();  // it answers
  wire->session().Sweep(NowNanos() + 59 * kNanosPerSecond);
  EXPECT_FALSE(wire->session().over());
  wire->session().Sweep(NowNanos() + 61 * kNanosPerSecond);
  wire->session().Sweep(NowNanos() + 100 * kNanosPerSecond);  // it does not
  EXPECT_EQ(End::kSlow, wire->session().end());
}

// ----------------------------------------------------------------------- drain

TEST_F(EndsTest, DrainsWithoutLosingAnything) {
  auto wire = Connect();
  const int32_t id = wire->Open("/t.T/Stream");
  wire->Send(id, Framed("x"), false);
  wire->Pump();
  wire->session().Drain();
  // On its way when the client hears of it.
  const int32_t late = wire->Open("/t.T/Unary");
  wire->Send(late, Framed("late"), true);
  wire->PumpUp();
  wire->Pump();
  EXPECT_EQ(2, wire->goaways);
  EXPECT_GE(wire->goaway_last, late);
  EXPECT_EQ("0", wire->answer(late).status());
  EXPECT_FALSE(wire->session().over());
  wire->Send(id, Framed("y"), true);
  wire->Pump();
  EXPECT_EQ("0", wire->answer(id).status());
  EXPECT_EQ(2u, wire->answer(id).messages().size());
  EXPECT_EQ(End::kDrained, wire->session().end());
}

// Only the answer to its own PING tells that the client has heard of the drain.
TEST_F(EndsTest, TakesNoOtherPingForTheLast) {
  auto wire = Connect();
  const int32_t id = wire->Open("/t.T/Stream");
  wire->Pump();
  wire->session().Drain();
  wire->Raw(Wire::Frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "mlosping"));
  wire->PumpDown();
  EXPECT_EQ(1, wire->goaways);
  wire->Pump();
  EXPECT_EQ(2, wire->goaways);
  wire->Send(id, "", true);
  wire->Pump();
  EXPECT_EQ(End::kDrained, wire->session().end());
}

TEST_F(EndsTest, DrainsAnIdleConnectionAtOnce) {
  auto wire = Connect();
  wire->session().Drain();
  wire->Pump();
  EXPECT_EQ(End::kDrained, wire->session().end());
}

TEST_F(EndsTest, DrainsWithoutAClientThatAnswers) {
  auto wire = Connect();
  wire->session().Drain();
  wire->PumpDown();
  wire->session().Sweep(NowNanos() + 2 * kNanosPerSecond);
  wire->PumpDown();
  EXPECT_EQ(End::kDrained, wire->session().end());
}

TEST_F(EndsTest, SaysThatItLeavesAndGoesOn) {
  auto wire = Connect();
  wire->session().Leave();
  const int32_t id = wire->Open("/t.T/Unary");
  wire->Send(id, Framed("x"), true);
  wire->PumpUp();
  wire->Pump();
  EXPECT_EQ("0", wire->answer(id).status());
  EXPECT_EQ(0x7fffffff, wire->goaway_last);
}

// ------------------------------------------------------- giving up at every stage

// T9: after so many bytes of a call the client resets it, or goes.
TEST_F(EndsTest, LeavesNothingOfWhatIsGivenUpAnywhere) {
  const std::string text(20'000, 'g');
  const std::string bodies[] = {Framed(text), Framed(Zip(text, Coding::kGzip), true)};
  for (const std::string& body : bodies) {
    const bool packed = body[0] == 1;
    const Fields fields = {{"grpc-encoding", packed ? "gzip" : "identity"},
                           {"grpc-accept-encoding", "gzip"}};
    for (const bool gone : {false, true}) {
      for (size_t sent = 0; sent <= body.size(); sent += sent < 8 ? 1 : body.size() / 11) {
        for (const char* path : {"/t.T/Unary", "/t.T/Stream"}) {
          auto wire = Connect();
          const int32_t id = wire->Open(path, fields);
          if (sent > 0) wire->Send(id, body.substr(0, sent), false);
          wire->PumpUp();
          if (!gone) {
            wire->Reset(id);
            wire->Pump();
            EXPECT_EQ(0u, wire->session().streams());
            EXPECT_EQ("0", wire->Ask("/t.T/Unary", "bystander").status());
          } else {
            wire->CloseServer();
          }
          EXPECT_EQ(0u, wire->owner().reserved) << sent;
          ExpectNothingLeft();
        }
      }
    }
  }
}

// And while the answer is on its way.
TEST_F(EndsTest, LeavesNothingOfAnAnswerThatIsGivenUp) {
  const std::string text(300'000, 'a');
  for (size_t taken = 0; taken < 65'535; taken += 8191) {
    Wire wire(dispatcher_, {}, 65'535, /*auto_window=*/false);
    wire.Pump();
    const int32_t id = wire.Open("/t.T/Unary");
    wire.Send(id, Framed(text), true);
    wire.PumpUp();
    for (size_t moved = 0; moved < taken;) {
      iovec piece;
      if (wire.session().Gather(&piece, 1) == 0) break;
      const size_t some = std::min<size_t>(piece.iov_len, 1000);
      wire.session().Advance(some);
      moved += some;
    }
    wire.Raw(Wire::Frame(NGHTTP2_RST_STREAM, 0, static_cast<uint32_t>(id), {"\0\0\0\x08", 4}));
    wire.CloseServer();
    EXPECT_EQ(0u, wire.owner().reserved);
    ExpectNothingLeft();
  }
}

}  // namespace
}  // namespace mlos::rpc
