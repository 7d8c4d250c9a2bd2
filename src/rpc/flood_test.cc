// SPDX-License-Identifier: Apache-2.0
//
// What a hostile client of HTTP/2 does, and the errors of RFC 9113 that a
// client may make, with frames built by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/clock.h"
#include "rpc/fakes.h"

namespace mlos::rpc {
namespace {

using h2::End;

class FloodTest : public testing::Test {
 protected:
  FloodTest() {
    dispatcher_.Add("/t.T/Unary", unary_);
    dispatcher_.Add("/t.T/Stream", stream_);
  }

  // A client that has said hello.
  std::unique_ptr<Wire> Connect(h2::Limits limits = {}) {
    // However slow the machine is.
    limits.reset_rate = limits.idle_frame_rate = 1;
    auto wire = std::make_unique<Wire>(dispatcher_, limits);
    wire->Pump();
    return wire;
  }
  // Repeats it until the session ends; how often that took.
  static int UntilOver(Wire& wire, const std::function<void(int)>& once, int most = 100'000) {
    for (int i = 0; i < most; ++i) {
      if (wire.session().over()) return i;
      once(i);
    }
    return most;
  }
  static void ExpectCalmed(Wire& wire, End why, std::string_view text) {
    EXPECT_EQ(why, wire.session().end());
    wire.PumpDown();
    EXPECT_EQ(NGHTTP2_ENHANCE_YOUR_CALM, static_cast<int>(wire.goaway_code));
    EXPECT_EQ(text, wire.goaway_text);
  }
  // Every handler was let go.
  void ExpectNothingLeft() {
    EXPECT_EQ(unary_.seen.begun, unary_.seen.done);
    EXPECT_EQ(stream_.seen.begun, stream_.seen.done);
  }

  EchoMethod unary_{false};
  EchoMethod stream_{true};
  Dispatcher dispatcher_{Options{}};
};

TEST_F(FloodTest, EndsRapidReset) {
  auto wire = Connect();
  const int n = UntilOver(*wire, [&](int) {
    const int32_t id = wire->Open("/t.T/Stream");
    wire->PumpUp();
    wire->Reset(id);
    wire->PumpUp();
  });
  EXPECT_GE(n, 1000);
  EXPECT_LT(n, 2000);
  ExpectCalmed(*wire, End::kResets, "too_many_resets");
  ExpectNothingLeft();
}

TEST_F(FloodTest, AllowsAsManyResetsAsClientsMake) {
  auto wire = Connect();
  for (int i = 0; i < 500; ++i) {
    const int32_t id = wire->Open("/t.T/Stream");
    wire->PumpUp();
    wire->Reset(id);
    wire->Pump();
  }
  EXPECT_EQ("0", wire->Ask("/t.T/Unary", "x").status());
}

// The client's errors make the server reset the streams.
TEST_F(FloodTest, EndsMadeYouReset) {
  auto wire = Connect();
  const int n = UntilOver(*wire, [&](int) {
    const auto id = static_cast<uint32_t>(wire->Open("/t.T/Stream"));
    wire->PumpUp();
    // A window of more than 2^31-1.
    wire->Raw(Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, id, "\x7f\xff\xff\xff"));
    wire->PumpDown();
  });
  EXPECT_GE(n, 900);
  EXPECT_LT(n, 2000);
  ExpectCalmed(*wire, End::kResets, "too_many_resets");
  ExpectNothingLeft();
}

TEST_F(FloodTest, EndsPings) {
  auto wire = Connect();
  const int n =
      UntilOver(*wire, [&](int) { wire->Raw(Wire::Frame(NGHTTP2_PING, 0, 0, "12345678")); });
  EXPECT_EQ(4, n);  // the first, two strikes, and one too many
  ExpectCalmed(*wire, End::kPings, "too_many_pings");
}

TEST_F(FloodTest, AllowsPingsWhileItAnswers) {
  auto wire = Connect();
  for (int i = 0; i < 50; ++i) {
    wire->Raw(Wire::Frame(NGHTTP2_PING, 0, 0, "12345678"));
    EXPECT_EQ("0", wire->Ask("/t.T/Unary", "x").status());
  }
  EXPECT_FALSE(wire->session().over());
}

TEST_F(FloodTest, EndsFramesThatMoveNothing) {
  struct Case {
    std::string_view name;
    std::function<std::string(uint32_t id)> frame;
  };
  const Case cases[] = {
      {"SETTINGS", [](uint32_t) { return Wire::Frame(NGHTTP2_SETTINGS, 0, 0, ""); }},
      {"empty DATA", [](uint32_t id) { return Wire::Frame(NGHTTP2_DATA, 0, id, ""); }},
      {"padded DATA",
       [](uint32_t id) {
         return Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id, {"\x03\0\0\0", 4});
       }},
      {"PRIORITY",
       [](uint32_t id) {
         return Wire::Frame(NGHTTP2_PRIORITY, 0, id, {"\0\0\0\0\x10", 5});
       }},
      {"WINDOW_UPDATE",
       [](uint32_t) {
         return Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {"\0\0\0\1", 4});
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto wire = Connect();
    const auto id = static_cast<uint32_t>(wire->Open("/t.T/Stream"));
    wire->Pump();
    const std::string frame = c.frame(id);
    const int n = UntilOver(*wire, [&](int) {
      wire->Raw(frame);
      wire->PumpDown();
    });
    EXPECT_GE(n, 990);
    EXPECT_LT(n, 2000);
    EXPECT_EQ(End::kIdleFrames, wire->session().end());
    // The client itself does not like acknowledgements of what it never sent.
    if (c.name == "SETTINGS") continue;
    ExpectCalmed(*wire, End::kIdleFrames, "too_many_idle_frames");
  }
  ExpectNothingLeft();
}

TEST_F(FloodTest, EndsAnEndlessHeader) {
  auto wire = Connect();
  const std::string block = {'\x40', '\x01', 'a', '\x01', 'b'};
  wire->Raw(Wire::Frame(NGHTTP2_HEADERS, 0, 1, block));
  const int n = UntilOver(*wire, [&](int) {
    wire->Raw(Wire::Frame(NGHTTP2_CONTINUATION, 0, 1, block));
    wire->PumpDown();
  });
  EXPECT_LE(n, 10);
}

// One byte on the wire is a field of 4000: what HPACK makes possible.
TEST_F(FloodTest, EndsAHeaderBomb) {
  auto wire = Connect();
  std::string block =
      "\x40\x01"
      "a";
  const std::string value(3000, 'v');
  block += '\x7f';
  block += static_cast<char>((value.size() - 127) % 128 + 128);
  block += static_cast<char>((value.size() - 127) / 128);
  block += value;
  block.append(10'000, '\xbe');  // the first entry of the dynamic table
  wire->Raw(Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block));
  ExpectCalmed(*wire, End::kHeaders, "headers_too_large");
  EXPECT_LT(wire->owner().most, 1u << 20);
  EXPECT_EQ(0, unary_.seen.begun);
}

TEST_F(FloodTest, HoldsClientsToTheNumberOfStreams) {
  h2::Limits limits;
  limits.max_streams = 10;
  Wire wire(dispatcher_, limits);
  std::vector<int32_t> ids;
  ids.reserve(20);
  for (int i = 0; i < 20; ++i) ids.push_back(wire.Open("/t.T/Stream"));
  wire.PumpUp();  // before it knows the limit
  wire.Pump();
  EXPECT_EQ(10, stream_.seen.begun);
  EXPECT_EQ(NGHTTP2_REFUSED_STREAM, static_cast<int>(wire.answer(ids[15]).error_code));
  EXPECT_FALSE(wire.session().over());
}

TEST_F(FloodTest, BoundsWhatIsRememberedOfAConnection) {
  h2::Limits limits;
  limits.max_connection_bytes = 256 << 10;
  limits.max_streams = 100'000;
  limits.reset_burst = limits.idle_frame_burst = 1'000'000;
  Wire wire(dispatcher_, limits);
  const int n = UntilOver(wire, [&](int) {
    wire.Open("/t.T/Stream");
    wire.PumpUp();
  });
  EXPECT_LT(n, 2000);
  ExpectCalmed(wire, End::kMemory, "too_much_memory");
  wire.CloseServer();
  ExpectNothingLeft();
}

// Unread answers to PINGs and errors pile up in the library.
TEST_F(FloodTest, BoundsWhatAClientDoesNotRead) {
  h2::Limits limits;
  limits.reset_burst = limits.idle_frame_burst = limits.max_ping_strikes = 1'000'000;
  auto wire = Connect(limits);
  const std::string ping = Wire::Frame(NGHTTP2_PING, 0, 0, "12345678");
  const int n = UntilOver(*wire, [&](int) { wire->Raw(ping); });
  EXPECT_LE(n, 1001);
}

// -------------------------------------------------------------------- timeouts

TEST_F(FloodTest, EndsWhoSaysNothing) {
  Wire wire(dispatcher_);
  wire.session().Sweep(NowNanos() + 9 * kNanosPerSecond);
  EXPECT_FALSE(wire.session().over());
  wire.session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_EQ(End::kSlow, wire.session().end());
}

TEST_F(FloodTest, EndsWhoDoesNotEndItsHeader) {
  auto wire = Connect();
  wire->Raw(Wire::Frame(NGHTTP2_HEADERS, 0, 1, {"\x82", 1}));
  wire->session().Sweep(NowNanos() + 11 * kNanosPerSecond);
  EXPECT_EQ(End::kSlow, wire->session().end());
}

TEST_F(FloodTest, EndsWhoIsIdle) {
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

TEST_F(FloodTest, AsksAQuietClientWhetherItIsThere) {
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

TEST_F(FloodTest, DrainsWithoutLosingAnything) {
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

TEST_F(FloodTest, DrainsAnIdleConnectionAtOnce) {
  auto wire = Connect();
  wire->session().Drain();
  wire->Pump();
  EXPECT_EQ(End::kDrained, wire->session().end());
}

TEST_F(FloodTest, DrainsWithoutAClientThatAnswers) {
  auto wire = Connect();
  wire->session().Drain();
  wire->PumpDown();
  wire->session().Sweep(NowNanos() + 2 * kNanosPerSecond);
  wire->PumpDown();
  EXPECT_EQ(End::kDrained, wire->session().end());
}

TEST_F(FloodTest, SaysThatItLeavesAndGoesOn) {
  auto wire = Connect();
  wire->session().Leave();
  const int32_t id = wire->Open("/t.T/Unary");
  wire->Send(id, Framed("x"), true);
  wire->PumpUp();
  wire->Pump();
  EXPECT_EQ("0", wire->answer(id).status());
  EXPECT_EQ(0x7fffffff, wire->goaway_last);
}

// -------------------------------------------------------------------- RFC 9113

// What a client must not do; the connection ends with that error, or only the
// stream does, and others go on.
TEST_F(FloodTest, MeetsTheErrorsOfTheStandard) {
  const std::string get = {'\x82', '\x87', '\x84', '\x41', '\x01', 'x'};
  const auto head = [&](uint8_t flags, uint32_t id) {
    return Wire::Frame(NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, id, get);
  };
  struct Case {
    std::string_view section;
    std::string bytes;
    uint32_t code;
  };
  const Case connection_errors[] = {
      {"4.2 frame too large", Wire::Frame(NGHTTP2_DATA, 0, 1, std::string(65537, 'x')),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"4.3 broken field block",
       Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, {"\xff\xff\xff\xff\xff\xff", 6}),
       NGHTTP2_COMPRESSION_ERROR},
      {"5.1 DATA on an idle stream", Wire::Frame(NGHTTP2_DATA, 0, 1, "x"), NGHTTP2_PROTOCOL_ERROR},
      {"5.1 RST_STREAM on an idle stream", Wire::Frame(NGHTTP2_RST_STREAM, 0, 1, {"\0\0\0\0", 4}),
       NGHTTP2_PROTOCOL_ERROR},
      {"5.1 WINDOW_UPDATE on an idle stream",
       Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 1, {"\0\0\0\1", 4}), NGHTTP2_PROTOCOL_ERROR},
      {"5.1.1 even stream", head(0, 2), NGHTTP2_PROTOCOL_ERROR},
      {"6.1 DATA on stream 0", Wire::Frame(NGHTTP2_DATA, 0, 0, "x"), NGHTTP2_PROTOCOL_ERROR},
      {"6.1 more padding than frame",
       head(0, 1) + Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\x09x"),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.2 HEADERS on stream 0", head(0, 0), NGHTTP2_PROTOCOL_ERROR},
      {"6.2 another frame inside a header",
       Wire::Frame(NGHTTP2_HEADERS, 0, 1, get) + Wire::Frame(NGHTTP2_PING, 0, 0, "12345678"),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.4 RST_STREAM on stream 0", Wire::Frame(NGHTTP2_RST_STREAM, 0, 0, {"\0\0\0\0", 4}),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.4 RST_STREAM of a wrong size", head(0, 1) + Wire::Frame(NGHTTP2_RST_STREAM, 0, 1, "abc"),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"6.5 SETTINGS on a stream", Wire::Frame(NGHTTP2_SETTINGS, 0, 1, ""), NGHTTP2_PROTOCOL_ERROR},
      {"6.5 SETTINGS of a wrong size", Wire::Frame(NGHTTP2_SETTINGS, 0, 0, "abc"),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"6.5 acknowledgement with a body",
       Wire::Frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, "abcdef"), NGHTTP2_FRAME_SIZE_ERROR},
      {"6.5.2 ENABLE_PUSH of 2", Wire::Frame(NGHTTP2_SETTINGS, 0, 0, {"\0\2\0\0\0\2", 6}),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.5.2 window of 2^31", Wire::Frame(NGHTTP2_SETTINGS, 0, 0, {"\0\4\x80\0\0\0", 6}),
       NGHTTP2_FLOW_CONTROL_ERROR},
      {"6.5.2 frame size below 16384", Wire::Frame(NGHTTP2_SETTINGS, 0, 0, {"\0\5\0\0\0\1", 6}),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.6 PUSH_PROMISE by a client",
       head(0, 1) + Wire::Frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1,
                                std::string("\0\0\0\2", 4) + get),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.7 PING on a stream", Wire::Frame(NGHTTP2_PING, 0, 1, "12345678"), NGHTTP2_PROTOCOL_ERROR},
      {"6.7 PING of a wrong size", Wire::Frame(NGHTTP2_PING, 0, 0, "1234"),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"6.8 GOAWAY on a stream", Wire::Frame(NGHTTP2_GOAWAY, 0, 1, {"\0\0\0\0\0\0\0\0", 8}),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.9 WINDOW_UPDATE of 0", Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {"\0\0\0\0", 4}),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.9 WINDOW_UPDATE of a wrong size", Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, "abc"),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"6.9.1 window over 2^31-1",
       Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {"\x7f\xff\xff\xff", 4}),
       NGHTTP2_FLOW_CONTROL_ERROR},
      {"6.10 CONTINUATION of nothing",
       Wire::Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, get), NGHTTP2_PROTOCOL_ERROR},
      {"6.10 CONTINUATION of another stream",
       Wire::Frame(NGHTTP2_HEADERS, 0, 1, get) +
           Wire::Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 3, get),
       NGHTTP2_PROTOCOL_ERROR},
  };
  for (const Case& c : connection_errors) {
    SCOPED_TRACE(c.section);
    auto wire = Connect();
    wire->Raw(c.bytes);
    wire->PumpDown();
    EXPECT_EQ(1, wire->goaways);
    EXPECT_EQ(c.code, wire->goaway_code);
    wire->PumpDown();
    EXPECT_TRUE(wire->session().over());
  }
  ExpectNothingLeft();
}

TEST_F(FloodTest, ResetsStreamsWithMalformedHeaders) {
  const auto literal = [](std::string_view name, std::string_view value) {
    std::string out(1, '\0');
    out += static_cast<char>(name.size());
    out += name;
    out += static_cast<char>(value.size());
    out += value;
    return out;
  };
  const std::string good = {'\x83', '\x86', '\x84', '\x41', '\x01', 'x'};  // POST / of http at x
  const std::pair<std::string_view, std::string> cases[] = {
      {"8.2.1 upper case", good + literal("Name", "v")},
      {"8.2.2 connection", good + literal("connection", "close")},
      {"8.2.2 te", good + literal("te", "gzip")},
      {"8.3 pseudo field behind others", literal("a", "b") + good},
      {"8.3 unknown pseudo field", good + literal(":what", "v")},
      {"8.3 response's pseudo field", good + literal(":status", "200")},
      {"8.3.1 no method", good.substr(1)},
      {"8.3.1 no path", std::string("\x83\x86", 2)},
      {"8.3.1 two methods", good.substr(0, 1) + good},
      {"8.3.1 empty path", std::string("\x83\x86", 2) + literal(":path", "")},
      {"8.2.1 line end in a value", good + literal("a", "b\r\nc")},
  };
  for (const auto& [section, block] : cases) {
    SCOPED_TRACE(section);
    auto wire = Connect();
    wire->Raw(Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block));
    wire->PumpDown();
    EXPECT_EQ(0u, wire->session().streams());
    EXPECT_EQ(0, wire->goaways);
    EXPECT_FALSE(wire->session().over());
  }
}

TEST_F(FloodTest, KnowsAClientOfAnotherProtocol) {
  Wire wire(dispatcher_);
  wire.Raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(wire.session().over());
  EXPECT_TRUE(wire.session().not_http2());
}

}  // namespace
}  // namespace mlos::rpc
