// SPDX-License-Identifier: Apache-2.0
//
// RFC 9113 and RFC 7541 where the server's very frames are what is to be seen:
// errors of one stream, which are no more than that, and what has to be answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "rpc/fakes.h"

namespace mlos::rpc {
namespace {

struct Said {
  uint8_t type;
  uint8_t flags;
  uint32_t id;
  std::string payload;

  uint32_t code() const {  // of a RST_STREAM
    uint32_t out = 0;
    for (const char c : payload) out = out << 8 | static_cast<uint8_t>(c);
    return out;
  }
};

std::string Literal(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  out += name;
  out += static_cast<char>(value.size());
  out += value;
  return out;
}

// POST of http at "x", a call of this path.
std::string CallHead(std::string_view path) {
  return "\x83\x86\x41\x01x" + Literal(":path", path) +
         Literal("content-type", "application/grpc") + Literal("te", "trailers");
}

class ConformanceStreamTest : public testing::Test {
 protected:
  ConformanceStreamTest() {
    dispatcher_.Add("/t.T/Unary", unary_);
    dispatcher_.Add("/t.T/Stream", stream_);
    Connect();
  }
  // Without a library at the other end.
  void Connect() {
    wire_ = std::make_unique<Wire>(dispatcher_);
    Say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Wire::Frame(NGHTTP2_SETTINGS, 0, 0, ""));
    Hear();
  }
  void Say(const std::string& bytes) { wire_->Raw(bytes); }
  void Head(uint32_t id, std::string_view path, uint8_t flags = 0) {
    Say(Wire::Frame(NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, id, CallHead(path)));
  }
  // What the server has to say.
  std::vector<Said> Hear() {
    std::string bytes;
    for (;;) {
      iovec pieces[16];
      const size_t count = wire_->session().Gather(pieces, std::size(pieces));
      if (count == 0) break;
      size_t size = 0;
      for (size_t i = 0; i < count; ++i) {
        bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
        size += pieces[i].iov_len;
      }
      wire_->session().Advance(size);
    }
    std::vector<Said> out;
    const auto at = [&bytes](size_t i) { return uint32_t{static_cast<uint8_t>(bytes[i])}; };
    for (size_t i = 0; i + 9 <= bytes.size();) {
      const uint32_t size = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
      const uint32_t id = at(i + 5) << 24 | at(i + 6) << 16 | at(i + 7) << 8 | at(i + 8);
      out.push_back({static_cast<uint8_t>(at(i + 3)), static_cast<uint8_t>(at(i + 4)), id,
                     bytes.substr(i + 9, size)});
      i += 9 + size;
    }
    return out;
  }
  // The only frame of this type.
  Said HearOne(uint8_t type) {
    std::vector<Said> some;
    for (Said& said : Hear()) {
      if (said.type == type) some.push_back(std::move(said));
    }
    EXPECT_EQ(1u, some.size());
    return some.empty() ? Said{} : some.front();
  }
  // The connection does what it is for.
  void ExpectServes(uint32_t id) {
    Head(id, "/t.T/Unary");
    Say(Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, Framed("x")));
    bool answered = false;
    for (const Said& said : Hear()) {
      EXPECT_NE(NGHTTP2_GOAWAY, said.type);
      answered |= said.id == id && said.type == NGHTTP2_DATA;
    }
    EXPECT_TRUE(answered);
  }

  EchoMethod unary_{false};
  EchoMethod stream_{true};
  Dispatcher dispatcher_{Options{}};
  std::unique_ptr<Wire> wire_;
};

TEST_F(ConformanceStreamTest, ResetsTheStreamThatHasTheError) {
  struct Case {
    std::string_view section;
    std::string bytes;
    uint32_t code;
  };
  const uint8_t end = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM;
  const Case cases[] = {
      {"6.9.1 window over 2^31-1",
       Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 1, {"\x7f\xff\xff\xff", 4}),
       NGHTTP2_FLOW_CONTROL_ERROR},
      {"8.1 trailers that do not end it",
       Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, Literal("a", "b")),
       NGHTTP2_PROTOCOL_ERROR},
      {"8.1 pseudo field in trailers", Wire::Frame(NGHTTP2_HEADERS, end, 1, Literal(":path", "/")),
       NGHTTP2_PROTOCOL_ERROR},
      {"8.2.1 upper case in trailers", Wire::Frame(NGHTTP2_HEADERS, end, 1, Literal("A", "b")),
       NGHTTP2_PROTOCOL_ERROR},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.section);
    Connect();
    Head(1, "/t.T/Stream");
    Hear();
    Say(c.bytes);
    const Said reset = HearOne(NGHTTP2_RST_STREAM);
    EXPECT_EQ(1u, reset.id);
    EXPECT_EQ(c.code, reset.code());
    ExpectServes(3);
  }
  wire_.reset();
  EXPECT_EQ(stream_.seen.begun, stream_.seen.done);
}

// 5.1: what comes for a stream that the client has reset is no news to anybody.
TEST_F(ConformanceStreamTest, IgnoresWhatComesForAStreamThatIsReset) {
  Head(1, "/t.T/Stream");
  Say(Wire::Frame(NGHTTP2_RST_STREAM, 0, 1, {"\0\0\0\x08", 4}));
  Hear();
  Say(Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 1, {"\0\0\0\1", 4}) +
      Wire::Frame(NGHTTP2_RST_STREAM, 0, 1, {"\0\0\0\x08", 4}) +
      Wire::Frame(NGHTTP2_PRIORITY, 0, 1, {"\0\0\0\0\1", 5}));
  ExpectServes(3);
}

TEST_F(ConformanceStreamTest, AnswersPingsWithWhatTheySay) {
  Say(Wire::Frame(NGHTTP2_PING, 0, 0, "a-ping-8"));
  const Said answer = HearOne(NGHTTP2_PING);
  EXPECT_EQ(NGHTTP2_FLAG_ACK, answer.flags);
  EXPECT_EQ("a-ping-8", answer.payload);
  Say(Wire::Frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "a-ping-8"));
  EXPECT_TRUE(Hear().empty());
}

// 6.5.3: settings hold when they are acknowledged.
TEST_F(ConformanceStreamTest, AcknowledgesSettingsAndKeepsToThem) {
  constexpr size_t kFrame = 20'000;
  constexpr size_t kWindow = 60'000;
  Say(Wire::Frame(NGHTTP2_SETTINGS, 0, 0, {"\0\5\0\0\x4e\x20\0\4\0\0\xea\x60", 12}));
  EXPECT_EQ(NGHTTP2_FLAG_ACK, HearOne(NGHTTP2_SETTINGS).flags);
  Say(Wire::Frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, ""));
  EXPECT_TRUE(Hear().empty());
  const std::string message = Framed(std::string(65'000, 'x'));
  Head(1, "/t.T/Unary");
  Say(Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, message));
  size_t bytes = 0;
  for (const Said& said : Hear()) {
    if (said.type != NGHTTP2_DATA) continue;
    EXPECT_LE(said.payload.size(), kFrame);
    bytes += said.payload.size();
  }
  EXPECT_EQ(kWindow, bytes);
  Say(Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 1, {"\0\0\x40\0", 4}));
  for (const Said& said : Hear()) bytes += said.type == NGHTTP2_DATA ? said.payload.size() : 0;
  EXPECT_EQ(message.size(), bytes);
}

// 4.3: a field block may be cut anywhere, and padded, and come with a priority.
TEST_F(ConformanceStreamTest, TakesAHeadInAnyForm) {
  const std::string head = CallHead("/t.T/Unary");
  const std::string message = Framed("x");
  const uint8_t padded = NGHTTP2_FLAG_PADDED;
  const uint8_t prior = NGHTTP2_FLAG_PRIORITY;
  const std::string priority("\0\0\0\0\x0f", 5);
  const auto whole = NGHTTP2_FLAG_END_HEADERS;
  const std::vector<std::string> forms = {
      Wire::Frame(NGHTTP2_HEADERS, whole | padded, 1, "\x03" + head + std::string(3, '\0')),
      Wire::Frame(NGHTTP2_HEADERS, whole | prior, 1, priority + head),
      Wire::Frame(NGHTTP2_HEADERS, whole | prior | padded, 1,
                  "\x01" + priority + head + std::string(1, '\0')),
      Wire::Frame(NGHTTP2_HEADERS, 0, 1, head) + Wire::Frame(NGHTTP2_CONTINUATION, whole, 1, ""),
      Wire::Frame(NGHTTP2_HEADERS, 0, 1, "") + Wire::Frame(NGHTTP2_CONTINUATION, whole, 1, head),
      Wire::Frame(NGHTTP2_HEADERS, 0, 1, head.substr(0, 7)) +
          Wire::Frame(NGHTTP2_CONTINUATION, 0, 1, head.substr(7, 1)) +
          Wire::Frame(NGHTTP2_CONTINUATION, whole, 1, head.substr(8)),
  };
  for (size_t i = 0; i < forms.size(); ++i) {
    SCOPED_TRACE(i);
    Connect();
    Say(forms[i]);
    Say(Wire::Frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, message));
    EXPECT_EQ(message, HearOne(NGHTTP2_DATA).payload);
  }
}

// RFC 7541: what is no code ends the connection, which has lost its table.
TEST_F(ConformanceStreamTest, EndsWhatItCannotDecode) {
  const std::string good = {'\x83', '\x86', '\x84', '\x41', '\x01', 'x'};
  const std::pair<std::string_view, std::string> cases[] = {
      {"6.1 index 0", good + "\x80"},
      {"2.3.3 index beyond the tables", good + "\xc6"},
      {"5.1 a number without end", good + "\x7f\xff\xff\xff\xff\xff\xff"},
      {"5.2 a text that is longer than the block", good + std::string("\0\5ab", 4)},
      {"5.2 padding of more than 7 bits", good + std::string("\0\x01"
                                                             "a\x82\x1f\xff",
                                                             6)},
      {"5.2 padding of zeros", good + std::string("\0\x01"
                                                  "a\x81\x18",
                                                  5)},
      {"5.2 the end of all texts in one", good + std::string("\0\x01"
                                                             "a\x84\xff\xff\xff\xff",
                                                             8)},
      {"4.2 size update behind fields", good + "\x20"},
  };
  for (const auto& [section, block] : cases) {
    SCOPED_TRACE(section);
    Connect();
    Say(Wire::Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block));
    const Said goaway = HearOne(NGHTTP2_GOAWAY);
    ASSERT_GE(goaway.payload.size(), 8u);
    EXPECT_EQ(NGHTTP2_COMPRESSION_ERROR, goaway.payload[7]);
    EXPECT_TRUE(wire_->session().over());
  }
}

}  // namespace
}  // namespace mlos::rpc
