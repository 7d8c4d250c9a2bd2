// SPDX-License-Identifier: Apache-2.0
//
// What a hostile client of HTTP/2 does, with frames built by hand.
#include "rpc/flood_fixture.h"

namespace mlos::rpc {
namespace {

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

// Nobody reads it: it may be empty, or what a client had sent before it knew.
TEST_F(FloodTest, EndsEmptyDataOfAStreamThatIsNoMore) {
  for (const bool padded : {false, true}) {
    auto wire = Connect();
    const auto id = static_cast<uint32_t>(wire->Open("/t.T/Stream"));
    wire->Pump();
    wire->Reset(static_cast<int32_t>(id));
    wire->Pump();
    const std::string frame =
        padded ? Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id, {"\x03\0\0\0", 4})
               : Wire::Frame(NGHTTP2_DATA, 0, id, "");
    const int n = UntilOver(*wire, [&](int) {
      wire->Raw(frame);
      wire->PumpDown();
    });
    EXPECT_LT(n, 2000);
    ExpectCalmed(*wire, End::kIdleFrames, "too_many_idle_frames");
  }
  auto wire = Connect();
  const int32_t id = wire->Open("/t.T/Stream");
  wire->Pump();
  wire->Reset(id);
  wire->Pump();
  for (int i = 0; i < 1500; ++i) {
    wire->Raw(Wire::Frame(NGHTTP2_DATA, 0, static_cast<uint32_t>(id), std::string(300, 'x')));
    wire->PumpDown();
  }
  EXPECT_FALSE(wire->session().over());
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
  ExpectCalmed(*wire, End::kHeaders, "too_many_continuations");
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

// And all together count as what all connections have.
TEST_F(FloodTest, CountsWhatIsRememberedOfAConnection) {
  h2::Limits limits;
  limits.max_streams = 100'000;
  auto wire = Connect(limits);
  EXPECT_EQ(0u, wire->owner().reserved);
  for (int i = 0; i < 1500; ++i) wire->Open("/t.T/Stream");
  wire->PumpUp();
  EXPECT_GE(wire->owner().reserved, wire->session().memory());
  wire->owner().limit = wire->owner().reserved + (256 << 10);
  const int n = UntilOver(*wire, [&](int) {
    wire->Open("/t.T/Stream");
    wire->PumpUp();
  });
  EXPECT_LT(n, 2000);
  ExpectCalmed(*wire, End::kMemory, "too_much_memory");
  wire->CloseServer();
  EXPECT_EQ(0u, wire->owner().reserved);
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

// ---------------------------------------------------------- more ways to attack

// Each makes the server reset streams, or ends the connection by itself.
TEST_F(FloodTest, EndsMadeYouResetInEveryForm) {
  struct Case {
    std::string_view name;
    std::function<std::string(uint32_t id)> frame;
  };
  const Case cases[] = {
      {"window update of 0",
       [](uint32_t id) {
         return Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, id, {"\0\0\0\0", 4});
       }},
      {"DATA behind the end",
       [](uint32_t id) {
         return Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, "x") +
                Wire::Frame(NGHTTP2_DATA, 0, id, "y");
       }},
      {"HEADERS behind the end",
       [](uint32_t id) {
         return Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, "x") +
                Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, "\x82");
       }},
      {"trailers without an end",
       [](uint32_t id) {
         return Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, {"\0\1a\1b", 5});
       }},
      {"pseudo field in trailers",
       [](uint32_t id) {
         return Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                            "\x82");
       }},
      {"a message that gRPC does not have",
       [](uint32_t id) { return Wire::Frame(NGHTTP2_DATA, 0, id, "\x07rest"); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto wire = Connect();
    const int n = UntilOver(*wire, [&](int) {
      const auto id = static_cast<uint32_t>(wire->Open("/t.T/Stream"));
      wire->PumpUp();
      wire->Raw(c.frame(id));
      wire->PumpDown();
    });
    EXPECT_LT(n, 2500);
    wire.reset();
    ExpectNothingLeft();
  }
}

TEST_F(FloodTest, EndsResetsOfWhatIsNotThere) {
  auto wire = Connect();
  EXPECT_EQ("0", wire->Ask("/t.T/Unary", "x").status());
  const std::string reset = Wire::Frame(NGHTTP2_RST_STREAM, 0, 1, {"\0\0\0\x08", 4});
  EXPECT_LT(UntilOver(*wire, [&](int) { wire->Raw(reset); }), 2000);
  ExpectCalmed(*wire, End::kIdleFrames, "too_many_idle_frames");
}

// A client that has its answer resets what it has not sent yet.
TEST_F(FloodTest, AllowsResetsOfWhatIsAnswered) {
  auto wire = Connect();
  for (int i = 0; i < 3000; ++i) {
    const int32_t id = wire->Open("/t.T/Nothing");
    wire->Pump();
    ASSERT_EQ("12", wire->answer(id).status()) << i;
    wire->Raw(Wire::Frame(NGHTTP2_RST_STREAM, 0, static_cast<uint32_t>(id), {"\0\0\0\0", 4}));
  }
  EXPECT_FALSE(wire->session().over());
}

TEST_F(FloodTest, EndsSettingsWithoutEnd) {
  auto wire = Connect();
  std::string many;
  for (int i = 0; i < 2000; ++i) many += std::string("\0\3\0\0\0\1", 6);
  wire->Raw(Wire::Frame(NGHTTP2_SETTINGS, 0, 0, many));
  wire->PumpDown();
  EXPECT_TRUE(wire->session().over());
}

// The window goes up and down under many streams: work for the server each time.
TEST_F(FloodTest, EndsWindowsThatGoUpAndDown) {
  auto wire = Connect();
  for (int i = 0; i < 100; ++i) wire->Open("/t.T/Stream");
  wire->Pump();
  const int n = UntilOver(*wire, [&](int i) {
    wire->Raw(Wire::Frame(NGHTTP2_SETTINGS, 0, 0,
                          {i % 2 == 0 ? "\0\4\0\0\0\0" : "\0\4\x7f\xff\xff\xff", 6}));
  });
  EXPECT_LT(n, 2000);
  EXPECT_TRUE(wire->session().over());
}

// A client may send single bytes, if it pays for them: nothing piles up here.
TEST_F(FloodTest, TakesAMessageByteByByte) {
  auto wire = Connect();
  const int32_t id = wire->Open("/t.T/Unary");
  wire->Pump();
  const std::string message = Framed(std::string(100'000, 'm'));
  for (size_t i = 0; i < message.size(); ++i) {
    const bool last = i + 1 == message.size();
    wire->Raw(Wire::Frame(NGHTTP2_DATA, last ? NGHTTP2_FLAG_END_STREAM : 0,
                          static_cast<uint32_t>(id), message.substr(i, 1)));
    if (i % 1000 == 0) {
      ASSERT_LT(wire->session().memory(), 256u << 10);
      ASSERT_EQ(0u, wire->owner().reserved);
    }
  }
  wire->Pump();
  EXPECT_EQ("0", wire->answer(id).status());
  EXPECT_EQ(100'000u, wire->answer(id).messages().at(0).size());
}

TEST_F(FloodTest, WaitsForAWindowAndGivesUp) {
  Wire wire(dispatcher_, {}, /*client_window=*/0);
  const int32_t id = wire.Open("/t.T/Unary");
  wire.Send(id, Framed("x"), true);
  wire.Pump();
  EXPECT_EQ(1u, wire.answer(id).heads.size());  // what no window holds back
  EXPECT_FALSE(wire.answer(id).closed);
  wire.session().Sweep(NowNanos() + 31 * kNanosPerSecond);
  wire.Pump();
  EXPECT_TRUE(wire.answer(id).closed);
  ExpectNothingLeft();
}

TEST_F(FloodTest, KeepsNothingOfLargeTrailers) {
  auto wire = Connect();
  const int32_t id = wire->Open("/t.T/Unary");
  wire->Pump();
  std::string block;
  for (int i = 0; i < 100; ++i) block += std::string("\0\1a\x64", 4) + std::string(100, 't');
  wire->Raw(Wire::Frame(NGHTTP2_DATA, 0, static_cast<uint32_t>(id), Framed("x")));
  wire->Raw(Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
                        static_cast<uint32_t>(id), block));
  wire->PumpDown();
  EXPECT_EQ("0", wire->answer(id).status());
  EXPECT_LT(wire->session().memory(), 256u << 10);
}

// Only the very path is the method's: whatever guards it is not gone round.
TEST_F(FloodTest, KnowsAMethodByItsExactPathOnly) {
  auto wire = Connect();
  for (const char* path :
       {"/t.T/Unary/", "//t.T/Unary", "/t.T//Unary", "/t.T/Unary?x=1", "/t.T/Unary#x", "/t.T/unary",
        "/T.t/Unary", "/t.T/%55nary", "/t.T/Unary%00", "/t.T/../t.T/Unary", "/t.T/Unary ",
        "t.T/Unary", "/", "*"}) {
    const Answer& a = wire->Ask(path, "x");
    EXPECT_NE("0", a.status()) << path;
    EXPECT_TRUE(a.closed) << path;
  }
  EXPECT_EQ(0, unary_.seen.begun);
  EXPECT_EQ("0", wire->Ask("/t.T/Unary", "x").status());
}

}  // namespace
}  // namespace mlos::rpc
