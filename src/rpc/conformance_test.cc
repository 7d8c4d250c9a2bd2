// SPDX-License-Identifier: Apache-2.0
//
// RFC 9113, section by section: the errors that a client may make, with frames
// built by hand, and what is to be taken although it is odd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "rpc/fakes.h"

namespace mlos::rpc {
namespace {

class ConformanceTest : public testing::Test {
 protected:
  ConformanceTest() {
    dispatcher_.Add("/t.T/Unary", unary_);
    dispatcher_.Add("/t.T/Stream", stream_);
  }
  // A client that has said hello.
  std::unique_ptr<Wire> Connect(const h2::Limits& limits = {}) {
    auto wire = std::make_unique<Wire>(dispatcher_, limits);
    wire->Pump();
    return wire;
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

// What a client must not do; the connection ends with that error, or only the
// stream does, and others go on.
TEST_F(ConformanceTest, MeetsTheErrorsOfTheStandard) {
  // So that windows can be overrun.
  h2::Limits limits;
  limits.stream_window = limits.connection_window = 65'535;
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
      {"6.9 WINDOW_UPDATE of 0 on a stream",
       head(0, 1) + Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 1, {"\0\0\0\0", 4}),
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
      {"4.3 size update that is too large",
       Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\x3f\xff\xff\x7f" + get),
       NGHTTP2_COMPRESSION_ERROR},
      {"5.1 CONTINUATION on an idle stream",
       Wire::Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 5, get), NGHTTP2_PROTOCOL_ERROR},
      {"5.1 DATA behind the end",
       head(NGHTTP2_FLAG_END_STREAM, 1) + Wire::Frame(NGHTTP2_DATA, 0, 1, "x"),
       NGHTTP2_STREAM_CLOSED},
      {"5.5 unknown frame inside a header",
       Wire::Frame(NGHTTP2_HEADERS, 0, 1, get) + Wire::Frame(0xfe, 0, 1, "x"),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.2 more padding than frame",
       Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_PADDED, 1,
                   "\x20" + get),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.5.2 frame size over 2^24-1", Wire::Frame(NGHTTP2_SETTINGS, 0, 0, {"\0\5\1\0\0\0", 6}),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.8 GOAWAY of a wrong size", Wire::Frame(NGHTTP2_GOAWAY, 0, 0, "abc"),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"4.3 PRIORITY inside a header",
       Wire::Frame(NGHTTP2_HEADERS, 0, 1, get) +
           Wire::Frame(NGHTTP2_PRIORITY, 0, 1, {"\0\0\0\0\1", 5}),
       NGHTTP2_PROTOCOL_ERROR},
      {"5.1 HEADERS behind the end",
       head(NGHTTP2_FLAG_END_STREAM, 1) + head(NGHTTP2_FLAG_END_STREAM, 1), NGHTTP2_STREAM_CLOSED},
      {"6.3 PRIORITY on stream 0", Wire::Frame(NGHTTP2_PRIORITY, 0, 0, {"\0\0\0\1\1", 5}),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.3 PRIORITY of a wrong size", head(0, 1) + Wire::Frame(NGHTTP2_PRIORITY, 0, 1, "abcd"),
       NGHTTP2_FRAME_SIZE_ERROR},
      {"6.10 CONTINUATION behind the end of a header",
       head(0, 1) + Wire::Frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, get),
       NGHTTP2_PROTOCOL_ERROR},
      {"6.9.1 more DATA than the window",
       head(0, 1) + Wire::Frame(NGHTTP2_DATA, 0, 1, std::string(60'000, 'x')) +
           Wire::Frame(NGHTTP2_DATA, 0, 1, std::string(60'000, 'x')),
       NGHTTP2_FLOW_CONTROL_ERROR},
  };
  for (const Case& c : connection_errors) {
    SCOPED_TRACE(c.section);
    auto wire = Connect(limits);
    wire->Raw(c.bytes);
    wire->PumpDown();
    EXPECT_EQ(1, wire->goaways);
    EXPECT_EQ(c.code, wire->goaway_code);
    wire->PumpDown();
    EXPECT_TRUE(wire->session().over());
  }
  ExpectNothingLeft();
}

TEST_F(ConformanceTest, ResetsStreamsWithMalformedHeaders) {
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
      {"8.2.1 blank in a name", good + literal("a b", "c")},
      {"8.2.1 zero in a value", good + literal("a", std::string(1, '\0'))},
      {"8.2.2 keep-alive", good + literal("keep-alive", "1")},
      {"8.2.2 proxy-connection", good + literal("proxy-connection", "close")},
      {"8.2.2 transfer-encoding", good + literal("transfer-encoding", "chunked")},
      {"8.2.2 upgrade", good + literal("upgrade", "h2c")},
      {"8.3.1 two paths", good + literal(":path", "/")},
      {"8.1.1 content-length that is none", good + literal("content-length", "-1")},
      {"8.1.1 two content-lengths",
       good + literal("content-length", "1") + literal("content-length", "2")},
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

// 8.1.1: what a head says of the body is true, or the request is malformed.
TEST_F(ConformanceTest, HoldsAClientToItsContentLength) {
  for (const char* length : {"3", "9"}) {
    auto wire = Connect();
    const int32_t id = wire->Open("/t.T/Unary", {{"content-length", length}});
    wire->Send(id, Framed("x"), true);  // six bytes
    wire->Pump();
    EXPECT_NE("0", wire->answer(id).status()) << length;
    EXPECT_TRUE(wire->answer(id).closed);
  }
  auto wire = Connect();
  EXPECT_EQ("0", wire->Ask("/t.T/Unary", "x", {{"content-length", "6"}}).status());
  wire.reset();
  ExpectNothingLeft();
}

// 3.4: SETTINGS come first.
TEST_F(ConformanceTest, WantsSettingsFirst) {
  Wire wire(dispatcher_);
  wire.Raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  wire.Raw(Wire::Frame(NGHTTP2_PING, 0, 0, "12345678"));
  while (wire.session().over() == false) {
    iovec pieces[16];
    const size_t count = wire.session().Gather(pieces, std::size(pieces));
    if (count == 0) break;
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) bytes += pieces[i].iov_len;
    wire.session().Advance(bytes);
  }
  EXPECT_TRUE(wire.session().over());
}

// What is not an error is taken: it comes from clients of other times.
TEST_F(ConformanceTest, IgnoresWhatItNeedNotKnow) {
  auto wire = Connect();
  wire->Raw(Wire::Frame(0xfe, 0xff, 0, "unknown frame"));
  wire->Raw(Wire::Frame(0xfe, 0xff, 0x80000001, "with the reserved bit"));
  const nghttp2_settings_entry unknown = {0x7f7f, 1};
  nghttp2_submit_settings(wire->client(), NGHTTP2_FLAG_NONE, &unknown, 1);
  wire->Raw(Wire::Frame(NGHTTP2_PING, 0xfe, 0, "12345678"));  // unknown flags
  wire->Raw(Wire::Frame(NGHTTP2_PRIORITY, 0, 9, {"\0\0\0\1\1", 5}));
  EXPECT_EQ("0", wire->Ask("/t.T/Unary", "x", {{"x-empty", ""}}).status());
  // Padding is no data.
  const int32_t id = wire->Open("/t.T/Unary");
  wire->Pump();
  std::string padded = std::string(1, '\x05') + Framed("pad") + std::string(5, '\0');
  wire->Raw(Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_END_STREAM,
                        static_cast<uint32_t>(id), padded));
  wire->PumpDown();
  EXPECT_EQ("pad", wire->answer(id).messages().at(0));
  EXPECT_EQ(0, wire->goaways);
}

// 6.5.2 and 6.9.2: a window may shrink below what is on its way, and grow again.
TEST_F(ConformanceTest, WaitsWithANegativeWindow) {
  auto wire = Connect();
  const std::string text(100'000, 'w');
  const int32_t id = wire->Open("/t.T/Unary");
  wire->Send(id, Framed(text), true);
  nghttp2_session_set_local_window_size(wire->client(), NGHTTP2_FLAG_NONE, 0, 1 << 20);
  const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
  const nghttp2_settings_entry much = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};
  nghttp2_submit_settings(wire->client(), NGHTTP2_FLAG_NONE, &none, 1);
  wire->Pump();
  EXPECT_FALSE(wire->answer(id).closed);
  nghttp2_submit_settings(wire->client(), NGHTTP2_FLAG_NONE, &much, 1);
  wire->Pump();
  EXPECT_EQ("0", wire->answer(id).status());
  EXPECT_TRUE(wire->answer(id).messages().at(0) == text);
}

TEST_F(ConformanceTest, KnowsAClientOfAnotherProtocol) {
  Wire wire(dispatcher_);
  wire.Raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(wire.session().over());
  EXPECT_TRUE(wire.session().not_http2());
}

}  // namespace
}  // namespace mlos::rpc
