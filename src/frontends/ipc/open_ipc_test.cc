// SPDX-License-Identifier: Apache-2.0
//
// Opening direct channels: what is answered, with which descriptor, and for whom.
#include <unistd.h>

#include "frontends/ipc/ipc_fixture.h"

namespace mlos::ipc {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;

class OpenIpc : public IpcTest {
 protected:
  static AskModel Of(std::string_view model, std::string_view version = "") {
    AskModel ask;
    ask.model = model;
    ask.version = version;
    return ask;
  }
};

TEST_F(OpenIpc, IsAnsweredWithTheModelAndTheEndOfALink) {
  Client client(path_);
  const auto frame = client.Ask1(Ask::kOpen, Of("id_FP32"));
  ASSERT_TRUE(frame);
  ASSERT_EQ(Tell::kChannel, frame->type()) << FailureOf(frame);
  EXPECT_EQ(1u, frame->header.descriptors);
  ModelDescription model;
  ASSERT_TRUE(Decode(frame->payload, &model).ok());
  EXPECT_EQ("id_FP32", model.name);
  ASSERT_THAT(model.inputs, SizeIs(1));
  ASSERT_THAT(client.descriptors, SizeIs(1));
  // It is the other end of what the core has.
  ASSERT_EQ(3, ::send(client.descriptors[0].get(), "abc", 3, 0));
  char text[8] = {};
  EXPECT_EQ(3, ::recv(opener_.link(0), text, sizeof(text), 0));
  EXPECT_STREQ("abc", text);
  ASSERT_THAT(opener_.wishes(), SizeIs(1));
  EXPECT_EQ("id_FP32", opener_.wishes()[0].model);
  EXPECT_EQ(::getuid(), opener_.wishes()[0].principal);
  EXPECT_TRUE(opener_.wishes()[0].in_place) << "who runs the daemon may";
  // It is counted after it is sent.
  EXPECT_TRUE(Eventually([&] { return Answers(metrics::IpcKind::kOpen, StatusCode::kOk) == 1; }));
}

TEST_F(OpenIpc, EachDescriptorComesWithItsOwnAnswer) {
  Client client(path_);
  constexpr size_t kMany = 12;
  for (size_t i = 0; i < kMany; ++i) client.Send(Ask::kOpen, client.next(), Of("id_INT8"));
  for (size_t i = 0; i < kMany; ++i) {
    const auto frame = client.Read();
    ASSERT_TRUE(frame && frame->type() == Tell::kChannel) << FailureOf(frame);
    ASSERT_THAT(client.descriptors, SizeIs(i + 1));
  }
}

// Descriptors wait with what the socket does not take, at their places.
TEST_F(OpenIpc, ADescriptorBehindMuchThatWasNotReadComesToo) {
  Client client(path_);
  const std::string data(3 << 20, 'x');
  client.SendFrame(Ask::kInfer, client.next(),
                   InferOf("id_UINT8", tensor::Datatype::kUint8, int64_t{3} << 20, data));
  ASSERT_TRUE(Eventually([&] { return Answers(metrics::IpcKind::kInfer, StatusCode::kOk) == 1; }));
  client.Send(Ask::kOpen, client.next(), Of("id_INT8"));
  client.Send(Ask::kOpen, client.next(), Of("id_INT8"));
  EXPECT_EQ(data, DataOf(client.Read()));
  EXPECT_THAT(client.descriptors, SizeIs(0));
  for (size_t i = 1; i <= 2; ++i) {
    const auto frame = client.Read();
    ASSERT_TRUE(frame && frame->type() == Tell::kChannel) << FailureOf(frame);
    EXPECT_THAT(client.descriptors, SizeIs(i));
  }
}

TEST_F(OpenIpc, OfAModelOnItsWayItIsAskedAnew) {
  opener_.AnswerFirst({Aborted("elsewhere"), Aborted("elsewhere")});
  Client client(path_);
  const auto frame = client.Ask1(Ask::kOpen, Of("id_FP32"));
  ASSERT_TRUE(frame && frame->type() == Tell::kChannel) << FailureOf(frame);
  EXPECT_EQ(3, opener_.asked);
}

TEST_F(OpenIpc, WhatIsRefusedSaysWhy) {
  Client client(path_);
  EXPECT_THAT(FailureOf(client.Ask1(Ask::kOpen, Of("absent"))), StartsWith("NOT_FOUND"));
  opener_.AnswerFirst({ResourceExhausted("there are 256 direct channels already")});
  EXPECT_THAT(FailureOf(client.Ask1(Ask::kOpen, Of("id_FP32"))),
              StartsWith("RESOURCE_EXHAUSTED: there are 256"));
  AskModel with = Of("id_FP32");
  with.with_config = true;
  EXPECT_THAT(FailureOf(client.Ask1(Ask::kOpen, with)), HasSubstr("flag"));
  client.SendFrame(Ask::kOpen, client.next(), "x");
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("INVALID_ARGUMENT"));
  EXPECT_THAT(client.descriptors, SizeIs(0));
}

TEST_F(OpenIpc, WhoeverLeavesMeanwhileLeavesNothingBehind) {
  opener_.hold = true;
  {
    Client client(path_);
    client.Send(Ask::kOpen, client.next(), Of("id_FP32"));
    ASSERT_TRUE(Eventually([&] { return opener_.asked == 1; }));
  }
  ASSERT_TRUE(Eventually([&] { return Connections() == 0; }));
  opener_.LetGo();
  char byte = 0;
  EXPECT_TRUE(Eventually([&] { return ::recv(opener_.link(0), &byte, 1, MSG_DONTWAIT) == 0; }))
      << "the end that nobody takes is closed, and the core sees it";
}

}  // namespace
}  // namespace mlos::ipc
