// SPDX-License-Identifier: Apache-2.0
//
// Inference that is copied over the socket.
#include "frontends/ipc/ipc_fixture.h"

namespace mlos::ipc {
namespace {

using tensor::Datatype;
using testing::HasSubstr;
using testing::StartsWith;

class InferIpc : public IpcTest {
 protected:
  explicit InferIpc(IpcOptions options = Small()) : IpcTest(std::move(options)) {}
  static IpcOptions Small() {
    IpcOptions options;
    options.max_message_bytes = 16 << 20;
    options.max_buffered_bytes = 24 << 20;
    options.sweep_ns = 10 * kNanosPerMilli;
    return options;
  }
  std::optional<Frame> Infer(std::string_view payload) {
    client_.SendFrame(Ask::kInfer, client_.next(), payload);
    return client_.Read();
  }

  Client client_{path_};
};

std::string Bytes(size_t count) {
  std::string out(count, '\0');
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<char>(i * 31 >> 3);
  return out;
}

TEST_F(InferIpc, GivesBackWhatItGot) {
  for (const size_t n : {0u, 1u, 64u, 32'000u, 32'744u, 32'768u, 70'000u, 3'000'001u}) {
    const std::string data = Bytes(n);
    EXPECT_EQ(data,
              DataOf(Infer(InferOf("id_UINT8", Datatype::kUint8, static_cast<int64_t>(n), data))))
        << n;
  }
  EXPECT_TRUE(Eventually([this] { return Buffered() == 0; }));
  EXPECT_TRUE(Eventually([this] { return engine_->running == 0; }));
}

TEST_F(InferIpc, ManyTensorsInAnyOrder) {
  AskInfer ask;
  ask.model = "pair";
  ask.version = "7";
  ask.id = "mine";
  ask.parameters = R"({"custom":5})";
  ask.inputs = {Input("b", Datatype::kFp32, {1, 2}, 8), Input("a", Datatype::kInt32, {1}, 4)};
  ask.outputs = {{.name = "b"}, {.name = "a"}};
  Buffer payload;
  ASSERT_TRUE(EncodeHead(ask, &payload));
  payload.Append("bbbbBBBBaaaa");
  const auto frame = Infer(payload.view());
  InferAnswer answer;
  ASSERT_TRUE(frame && frame->type() == Tell::kOutputs) << FailureOf(frame);
  ASSERT_TRUE(Decode(frame->payload, &answer).ok());
  EXPECT_EQ("7", answer.version);
  ASSERT_EQ(2u, answer.outputs.size());
  EXPECT_EQ("b", answer.outputs[0].name);
  EXPECT_EQ("bbbbBBBB", frame->payload.substr(answer.outputs[0].at, 8));
  EXPECT_EQ("aaaa", frame->payload.substr(answer.outputs[1].at, 4));
  EXPECT_EQ(R"({"custom":5})", engine_->last_parameters());
}

TEST_F(InferIpc, SaysWhatIsWrong) {
  const auto fails = [&](std::string_view payload) { return FailureOf(Infer(payload)); };
  EXPECT_THAT(fails(InferOf("none", Datatype::kFp32, 1, "1234")), StartsWith("NOT_FOUND"));
  EXPECT_THAT(fails(InferOf("unloaded", Datatype::kFp32, 1, "1234")), StartsWith("UNAVAILABLE"));
  EXPECT_THAT(fails(InferOf("id_FP32", Datatype::kFp32, 2, "1234")), HasSubstr("4 bytes"));
  EXPECT_THAT(fails(InferOf("id_FP32", Datatype::kInt32, 1, "1234")), HasSubstr("INT32"));
  EXPECT_THAT(fails(InferOf("id_FP32", static_cast<Datatype>(5), 1, "1234")),
              HasSubstr("which is none"));
  EXPECT_THAT(fails(InferOf("id_FP32", Datatype::kFp32, -1, "1234")),
              StartsWith("INVALID_ARGUMENT"));
  EXPECT_THAT(fails(InferOf("id_BOOL", Datatype::kBool, 2, "\1\2")), HasSubstr("neither 0 nor 1"));
  EXPECT_THAT(fails(InferOf("id_BYTES", Datatype::kBytes, 1, std::string("\5\0\0\0abc", 7))),
              HasSubstr("input 'in'"));
  EXPECT_THAT(fails(InferOf("fail_INTERNAL", Datatype::kFp32, 1, "1234")), StartsWith("INTERNAL"));
  AskInfer ask;
  ask.model = "id_FP32";
  ask.parameters = "[1]";
  Buffer payload;
  ASSERT_TRUE(EncodeHead(ask, &payload));
  EXPECT_THAT(fails(payload.view()), HasSubstr("no JSON object"));
  EXPECT_TRUE(Eventually([this] { return engine_->running == 0; }));
}

TEST_F(InferIpc, ClassifiesOutputs) {
  AskInfer ask;
  ask.model = "scores";
  ask.inputs = {Input("in", Datatype::kFp32, {1, 5}, 20)};
  ask.outputs = {{.name = "out", .classes = 1}};
  Buffer payload;
  ASSERT_TRUE(EncodeHead(ask, &payload));
  const float scores[] = {0, 0, 0, 9, 0};
  payload.Append({reinterpret_cast<const char*>(scores), sizeof(scores)});
  EXPECT_THAT(DataOf(Infer(payload.view())), HasSubstr(":3:"));
}

TEST_F(InferIpc, ManyAtOnceAreAnsweredEach) {
  std::string all;
  for (uint64_t i = 1; i <= 200; ++i) {
    const std::string data = Bytes(4 * i);
    all += Client::Framed(
        Ask::kInfer, i,
        InferOf(i % 2 == 0 ? "later" : "id_FP32", Datatype::kFp32, static_cast<int64_t>(i), data));
  }
  std::thread sender([&] { EXPECT_TRUE(client_.SendBytes(all)); });
  std::vector<bool> seen(201);
  for (int i = 0; i < 200; ++i) {
    const auto frame = client_.Read();
    ASSERT_TRUE(frame);
    EXPECT_EQ(Bytes(4 * frame->header.call), DataOf(frame));
    EXPECT_FALSE(seen[frame->header.call]);
    seen[frame->header.call] = true;
  }
  sender.join();
}

TEST_F(InferIpc, DeadlinesOfClientsCount) {
  AskInfer ask;
  ask.model = "id_FP32";
  ask.timeout_us = 5'000'000;
  ask.inputs = {Input("in", Datatype::kFp32, {1}, 4)};
  Buffer payload;
  ASSERT_TRUE(EncodeHead(ask, &payload));
  payload.Append("1234");
  const uint64_t before = NowNanos();
  EXPECT_EQ("1234", DataOf(Infer(payload.view())));
  EXPECT_GE(engine_->last_deadline_ns, before + 5 * kNanosPerSecond);
  EXPECT_LE(engine_->last_deadline_ns, NowNanos() + 5 * kNanosPerSecond);
}

TEST_F(InferIpc, CancelledCallsGiveEverythingBack) {
  client_.SendFrame(Ask::kInfer, 1, InferOf("hang", Datatype::kFp32, 1, "1234"));
  ASSERT_TRUE(Eventually([this] { return engine_->submitted == 1; }));
  client_.SendFrame(Ask::kCancel, 1, "");
  EXPECT_THAT(FailureOf(client_.Read()), StartsWith("CANCELLED"));
  EXPECT_TRUE(Eventually([this] { return engine_->running == 0; }));
  client_.SendFrame(Ask::kInfer, 1, InferOf("id_FP32", Datatype::kFp32, 1, "1234"));
  EXPECT_EQ("1234", DataOf(client_.Read()));
}

TEST_F(InferIpc, WhoGoesAwayLeavesNothing) {
  const std::string large(8 << 20, 'x');
  Client gone(path_);
  gone.SendFrame(Ask::kInfer, 1, InferOf("hang", Datatype::kFp32, 2 << 20, large));
  gone.SendBytes(Client::Framed(Ask::kInfer, 2, InferOf("hang", Datatype::kFp32, 2 << 20, large))
                     .substr(0, 3 << 20));
  ASSERT_TRUE(Eventually([this] { return engine_->submitted == 1; }));
  gone.Close();
  EXPECT_TRUE(Eventually([this] { return engine_->running == 0 && Buffered() == 0; }));
}

TEST_F(InferIpc, MessagesBeyondTheLimitFailAlone) {
  const std::string large(17 << 20, 'x');
  EXPECT_THAT(FailureOf(Infer(InferOf("id_UINT8", Datatype::kUint8, 17 << 20, large))),
              HasSubstr("--ipc-max-message"));
  EXPECT_EQ("1234", DataOf(Infer(InferOf("id_FP32", Datatype::kFp32, 1, "1234"))));
  EXPECT_EQ(0u, Buffered());
}

// Two of 13 MiB do not fit: the second is refused, and the connection goes on.
TEST_F(InferIpc, LargeMessagesAreBoundedTogether) {
  const std::string large(13 << 20, 'x');
  const std::string payload = InferOf("hang", Datatype::kUint8, 13 << 20, large);
  Client first(path_);
  AskInfer ask;
  ask.model = "hang";
  ask.inputs = {Input("in", Datatype::kFp32, {13 << 18}, large.size())};
  Buffer head;
  ASSERT_TRUE(EncodeHead(ask, &head));
  first.SendFrame(Ask::kInfer, 1, std::string(head.view()) + large);
  ASSERT_TRUE(Eventually([this] { return engine_->submitted == 1; }));
  EXPECT_THAT(FailureOf(Infer(payload)), StartsWith("RESOURCE_EXHAUSTED"));
  EXPECT_EQ("1234", DataOf(Infer(InferOf("id_FP32", Datatype::kFp32, 1, "1234"))));
  first.Close();
  EXPECT_TRUE(Eventually([this] { return Buffered() == 0; }));
}

class ImpatientInferIpc : public InferIpc {
 protected:
  ImpatientInferIpc() : InferIpc(Impatient()) {}
  static IpcOptions Impatient() {
    IpcOptions options = Small();
    options.transfer_timeout_ns = kNanosPerSecond;
    return options;
  }
};

// Others and the model's memory do not wait for who does not read; in the end it is cut off.
TEST_F(ImpatientInferIpc, WhoDoesNotReadHoldsNoMemoryOfAModel) {
  Client slow(path_);
  const std::string large(6 << 20, 'x');
  slow.SendFrame(Ask::kInfer, 1, InferOf("id_UINT8", Datatype::kUint8, 6 << 20, large));
  ASSERT_TRUE(Eventually([this] { return engine_->submitted == 1 && engine_->running == 0; }));
  EXPECT_EQ("1234", DataOf(Infer(InferOf("id_FP32", Datatype::kFp32, 1, "1234"))));
  EXPECT_TRUE(Eventually([this] { return Ended(metrics::IpcEnd::kSlow) == 1; }));
  EXPECT_EQ(1u, Connections());
  EXPECT_EQ(0u, Buffered());
  // The other was idle meanwhile, and has nothing left of what it had grown to.
  EXPECT_EQ("1234", DataOf(Infer(InferOf("id_FP32", Datatype::kFp32, 1, "1234"))));
}

}  // namespace
}  // namespace mlos::ipc
