// SPDX-License-Identifier: Apache-2.0
#include "ipc/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

#include "ipc/cursor.h"

namespace mlos::ipc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// No cut of a message is one, nor is it with a byte behind it.
template <typename T>
void ExpectNoPartIsWhole(std::string_view whole, bool may_grow = false) {
  T decoded;
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(Decode(std::string(whole.substr(0, n)), &decoded).ok()) << n;
  }
  EXPECT_EQ(may_grow, Decode(std::string(whole) + "x", &decoded).ok());
  EXPECT_TRUE(Decode(whole, &decoded).ok());
}

AskInfer Sample() {
  AskInfer ask;
  ask.model = "digits";
  ask.version = "3";
  ask.id = "mine";
  ask.parameters = R"({"a":1})";
  ask.timeout_us = 250'000;
  WireTensor& a = ask.inputs.emplace_back();
  a.name = "a";
  a.datatype = static_cast<uint32_t>(tensor::Datatype::kInt32);
  a.rank = 2;
  a.dims[0] = 1;
  a.dims[1] = 2;
  a.bytes = 8;
  WireTensor& b = ask.inputs.emplace_back();
  b.name = "b";
  b.datatype = static_cast<uint32_t>(tensor::Datatype::kUint8);
  b.bytes = 1;
  ask.outputs.push_back({.name = "out", .classes = 5});
  return ask;
}

std::string Encoded(const AskInfer& ask, std::string_view data) {
  Buffer out;
  EXPECT_TRUE(EncodeHead(ask, &out));
  return std::string(out.view()) + std::string(data);
}

// The bytes of docs/ipc.md: a change here is a new version of the protocol.
TEST(WireTest, IsAsDocumented) {
  EXPECT_EQ(24u, sizeof(FrameHeader));
  EXPECT_EQ(0u, offsetof(FrameHeader, type));
  EXPECT_EQ(4u, offsetof(FrameHeader, descriptors));
  EXPECT_EQ(8u, offsetof(FrameHeader, call));
  EXPECT_EQ(16u, offsetof(FrameHeader, bytes));
  EXPECT_EQ(1u, static_cast<uint32_t>(Ask::kHello));
  EXPECT_EQ(2u, static_cast<uint32_t>(Ask::kServer));
  EXPECT_EQ(3u, static_cast<uint32_t>(Ask::kModel));
  EXPECT_EQ(4u, static_cast<uint32_t>(Ask::kControl));
  EXPECT_EQ(5u, static_cast<uint32_t>(Ask::kInfer));
  EXPECT_EQ(6u, static_cast<uint32_t>(Ask::kCancel));
  EXPECT_EQ(257u, static_cast<uint32_t>(Tell::kWelcome));
  EXPECT_EQ(258u, static_cast<uint32_t>(Tell::kFailure));
  EXPECT_EQ(259u, static_cast<uint32_t>(Tell::kServer));
  EXPECT_EQ(260u, static_cast<uint32_t>(Tell::kModel));
  EXPECT_EQ(261u, static_cast<uint32_t>(Tell::kOutcome));
  EXPECT_EQ(262u, static_cast<uint32_t>(Tell::kOutputs));

  Buffer out;
  Encode(Hello{.token = "t", .client = "me"}, &out);
  const char hello[] = "mlOS-IPC\1\0\0\0\1\0\0\0\1\0\0\0t\2\0\0\0me";
  EXPECT_EQ(std::string(hello, sizeof(hello) - 1), out.view());

  AskInfer ask;
  ask.model = "m";
  ask.timeout_us = 7;
  WireTensor& in = ask.inputs.emplace_back();
  in.name = "i";
  in.datatype = 0x108;
  in.rank = 1;
  in.dims[0] = 2;
  in.bytes = 2;
  ask.outputs.push_back({.name = "o", .classes = 3});
  const char infer[] =
      "\x50\0\0\0\1\0\0\0m\0\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0"          // texts, timeout
      "\1\0\0\0\1\0\0\0i\x08\1\0\0\1\0\0\0\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0"  // the input
      "\1\0\0\0\1\0\0\0o\3\0\0\0";
  std::string expected(infer, sizeof(infer) - 1);
  expected[0] = static_cast<char>(expected.size());
  EXPECT_EQ(expected, Encoded(ask, ""));
}

TEST(WireTest, HeaderIsBounded) {
  EXPECT_TRUE(CheckHeader({.type = 5, .call = 1, .bytes = kMostFrameBytes}).ok());
  EXPECT_FALSE(CheckHeader({.type = 5, .call = 1, .bytes = kMostFrameBytes + 1}).ok());
  EXPECT_FALSE(CheckHeader({.type = 5, .descriptors = 1, .call = 1}).ok());
}

TEST(HandshakeTest, AgreesOnTheHighestVersionThatBothKnow) {
  Buffer out;
  Encode(Hello{.lowest = 1, .highest = 9, .token = "secret", .client = "app"}, &out);
  Hello hello;
  ASSERT_TRUE(Decode(out.view(), &hello).ok());
  EXPECT_EQ("secret", hello.token);
  EXPECT_EQ("app", hello.client);
  EXPECT_EQ(kHighestVersion, AgreeOnVersion(hello).value());
  ExpectNoPartIsWhole<Hello>(out.view(), true);

  hello.lowest = kHighestVersion + 1;
  EXPECT_EQ(StatusCode::kFailedPrecondition, AgreeOnVersion(hello).status().code());
  hello.lowest = hello.highest = 0;
  EXPECT_FALSE(AgreeOnVersion(hello).ok());
}

TEST(HandshakeTest, RefusesWhatIsNoHello) {
  Hello hello;
  const Status http = Decode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &hello);
  EXPECT_THAT(std::string(Message(http)), HasSubstr("local protocol"));
  Buffer out;
  Encode(Hello{.lowest = 2, .highest = 1}, &out);
  EXPECT_FALSE(Decode(out.view(), &hello).ok());
  out.Clear();
  const std::string longer(kMostTokenBytes + 1, 't');
  Encode(Hello{.token = longer}, &out);
  EXPECT_FALSE(Decode(out.view(), &hello).ok());
}

TEST(HandshakeTest, WelcomeSaysWhatMayBeSent) {
  Buffer out;
  Encode(Welcome{.max_calls = 64,
                 .max_message = 1 << 20,
                 .uid = 7,
                 .server_pid = 9,
                 .server_version = "1.2"},
         &out);
  Welcome welcome;
  ASSERT_TRUE(Decode(out.view(), &welcome).ok());
  EXPECT_EQ(64u, welcome.max_calls);
  EXPECT_EQ(1u << 20, welcome.max_message);
  EXPECT_EQ(7u, welcome.uid);
  EXPECT_EQ(9u, welcome.server_pid);
  EXPECT_EQ("1.2", welcome.server_version);
  ExpectNoPartIsWhole<Welcome>(out.view(), true);
}

TEST(MessageTest, FailureCarriesItsCode) {
  Buffer out;
  Encode(Failure{.code = StatusCode::kNotFound, .text = "no", .hint = "list"}, &out);
  Failure failure;
  ASSERT_TRUE(Decode(out.view(), &failure).ok());
  EXPECT_EQ(StatusCode::kNotFound, failure.code);
  EXPECT_EQ("no", failure.text);
  EXPECT_EQ("list", failure.hint);
  ExpectNoPartIsWhole<Failure>(out.view());
  out.Clear();
  Encode(Failure{.code = StatusCode::kOk}, &out);
  EXPECT_FALSE(Decode(out.view(), &failure).ok());
}

TEST(MessageTest, DescribesAModel) {
  const TensorInfo info{"in", tensor::Datatype::kFp32, {-1, 3}, true};
  ModelDescription model;
  model.name = "m";
  model.version = "2";
  model.platform = "p";
  model.max_batch_size = 8;
  model.versions = {"1", "2"};
  model.inputs = {Describe(info)};
  model.outputs = {Describe(info), Describe(info)};
  model.config = "{}";
  Buffer out;
  Encode(model, &out);
  ModelDescription decoded;
  ASSERT_TRUE(Decode(out.view(), &decoded).ok());
  EXPECT_EQ("m", decoded.name);
  EXPECT_EQ(8u, decoded.max_batch_size);
  EXPECT_THAT(decoded.versions, ElementsAre("1", "2"));
  ASSERT_EQ(1u, decoded.inputs.size());
  EXPECT_EQ("in", decoded.inputs[0].name);
  EXPECT_TRUE(decoded.inputs[0].optional);
  EXPECT_THAT(decoded.inputs[0].shape(), ElementsAre(-1, 3));
  EXPECT_EQ(2u, decoded.outputs.size());
  EXPECT_EQ("{}", decoded.config);
  ExpectNoPartIsWhole<ModelDescription>(out.view());
}

TEST(MessageTest, ControlGoesThereAndBack) {
  Buffer out;
  Encode(
      AskControl{
          .wait = false, .operation = "model.load", .name = "m", .version = "1", .body = "{}"},
      &out);
  AskControl ask;
  ASSERT_TRUE(Decode(out.view(), &ask).ok());
  EXPECT_FALSE(ask.wait);
  EXPECT_EQ("model.load", ask.operation);
  EXPECT_EQ("{}", ask.body);
  ExpectNoPartIsWhole<AskControl>(out.view());
  std::string unknown(out.view());
  unknown[0] = 2;  // a flag that there is not
  EXPECT_FALSE(Decode(unknown, &ask).ok());

  out.Clear();
  Encode(ControlOutcome{.created = true, .accepted = true, .body = "[]"}, &out);
  ControlOutcome outcome;
  ASSERT_TRUE(Decode(out.view(), &outcome).ok());
  EXPECT_TRUE(outcome.created && outcome.accepted);
  EXPECT_EQ("[]", outcome.body);
}

TEST(InferMessageTest, PlacesTheDataOfEachTensor) {
  const std::string payload = Encoded(Sample(), "01234567x");
  AskInfer ask;
  ASSERT_TRUE(Decode(payload, &ask).ok());
  EXPECT_EQ("digits", ask.model);
  EXPECT_EQ("3", ask.version);
  EXPECT_EQ("mine", ask.id);
  EXPECT_EQ(R"({"a":1})", ask.parameters);
  EXPECT_EQ(250'000u, ask.timeout_us);
  ASSERT_EQ(2u, ask.inputs.size());
  EXPECT_THAT(ask.inputs[0].shape(), ElementsAre(1, 2));
  EXPECT_EQ("01234567", payload.substr(ask.inputs[0].at, ask.inputs[0].bytes));
  EXPECT_EQ("x", payload.substr(ask.inputs[1].at, ask.inputs[1].bytes));
  ASSERT_EQ(1u, ask.outputs.size());
  EXPECT_EQ(5u, ask.outputs[0].classes);
  ExpectNoPartIsWhole<AskInfer>(payload);
}

TEST(InferMessageTest, SizesThatWrapAreRefused) {
  AskInfer sample = Sample();
  AskInfer ask;
  // Both together wrap to what is there.
  sample.inputs[0].bytes = std::numeric_limits<uint64_t>::max() - 3;
  sample.inputs[1].bytes = 13;
  EXPECT_FALSE(Decode(Encoded(sample, "01234567x"), &ask).ok());
  sample.inputs[0].bytes = 8;
  sample.inputs[1].bytes = std::numeric_limits<uint64_t>::max();
  EXPECT_FALSE(Decode(Encoded(sample, "01234567x"), &ask).ok());
}

TEST(InferMessageTest, CountsThatTheBytesCannotHoldTakeNoMemory) {
  Buffer out;
  Writer w(&out);
  w.U32(4 + 4 * 4 + 8 + 4);
  for (int i = 0; i < 4; ++i) w.Text("");
  w.U64(0);
  w.U32(4096);  // inputs, of which there are none
  AskInfer ask;
  EXPECT_FALSE(Decode(out.view(), &ask).ok());
  EXPECT_EQ(0u, ask.inputs.capacity());
}

TEST(InferMessageTest, ARankThatIsTooHighIsRefused) {
  AskInfer sample = Sample();
  std::string payload = Encoded(sample, "01234567x");
  const uint32_t rank = tensor::kMaxRank + 1;
  const size_t at = payload.find(std::string("\x20\0\0\0\2\0\0\0", 8)) + 4;
  std::memcpy(payload.data() + at, &rank, sizeof(rank));
  AskInfer ask;
  EXPECT_FALSE(Decode(payload, &ask).ok());
}

TEST(InferMessageTest, TheHeadIsBounded) {
  AskInfer sample = Sample();
  const std::string name(kMostHeadBytes, 'n');
  sample.model = name;
  Buffer out;
  EXPECT_FALSE(EncodeHead(sample, &out));
  sample = Sample();
  const std::string parameters(tensor::kMaxParameterBytes + 1, ' ');
  sample.parameters = parameters;
  AskInfer ask;
  EXPECT_THAT(std::string(Message(Decode(Encoded(sample, "01234567x"), &ask))),
              HasSubstr("parameters"));
}

TEST(InferMessageTest, AnswersHaveTheirDataBehindTheHead) {
  InferAnswer answer;
  answer.version = "4";
  WireTensor& t = answer.outputs.emplace_back();
  t.name = "out";
  t.bytes = 3;
  Buffer out;
  ASSERT_TRUE(EncodeHead(answer, &out));
  out.Append("abc");
  InferAnswer decoded;
  ASSERT_TRUE(Decode(out.view(), &decoded).ok());
  EXPECT_EQ("4", decoded.version);
  EXPECT_EQ("abc", out.view().substr(decoded.outputs[0].at, decoded.outputs[0].bytes));
  ExpectNoPartIsWhole<InferAnswer>(out.view());
}

}  // namespace
}  // namespace mlos::ipc
