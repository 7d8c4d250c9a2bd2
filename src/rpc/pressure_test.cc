// SPDX-License-Identifier: Apache-2.0
//
// Large messages, clients that take their time, and handlers that wait.
#include "rpc/rpc_fixture.h"

namespace mlos::rpc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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
