// SPDX-License-Identifier: Apache-2.0
#include "hostlink/messages.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mlos::hostlink {
namespace {

OwnedFd AnyFd() { return OwnedFd(eventfd(0, EFD_CLOEXEC)); }

ModelInfo Sample() {
  ModelInfo info;
  info.inputs.push_back({"image", tensor::Datatype::kFp32, {-1, 64}, false});
  info.inputs.push_back({"mask", tensor::Datatype::kBytes, {}, true});
  info.outputs.push_back({"label", tensor::Datatype::kInt64, {-1}, false});
  info.max_batch_size = 8;
  info.max_concurrency = 3;
  info.replay_safe = false;
  info.memory_bytes = uint64_t{1} << 63;
  info.platform = "onnxruntime_onnx";
  return info;
}

TEST(MessagesTest, ModelInfoSurvivesTheJourney) {
  const ModelInfo sent = Sample();
  const auto got = DecodeModelInfo(EncodeModelInfo(sent));
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(2u, got->inputs.size());
  EXPECT_EQ("mask", got->inputs[1].name);
  EXPECT_EQ(tensor::Datatype::kBytes, got->inputs[1].datatype);
  EXPECT_TRUE(got->inputs[1].optional);
  EXPECT_EQ((std::vector<int64_t>{-1, 64}), got->inputs[0].shape);
  EXPECT_EQ(8u, got->max_batch_size);
  EXPECT_EQ(3u, got->max_concurrency);
  EXPECT_FALSE(got->replay_safe);
  EXPECT_EQ(uint64_t{1} << 63, got->memory_bytes);
  EXPECT_EQ("onnxruntime_onnx", got->platform);
}

TEST(MessagesTest, ModelInfoFromAHostIsNotBelieved) {
  const auto refuse = [](auto&& spoil) {
    boost::json::object object = EncodeModelInfo(Sample());
    spoil(object);
    EXPECT_FALSE(DecodeModelInfo(object).ok()) << boost::json::serialize(object);
  };
  const auto input = [](boost::json::object& o) -> boost::json::object& {
    return o["inputs"].as_array()[0].as_object();
  };
  refuse([](auto& o) { o.erase("outputs"); });
  refuse([](auto& o) { o["max_batch_size"] = -1; });
  refuse([](auto& o) { o["inputs"] = "none"; });
  refuse([&](auto& o) { input(o)["datatype"] = "FP31"; });
  refuse([&](auto& o) { input(o)["name"] = ""; });
  refuse([&](auto& o) { input(o)["name"] = "mask"; });  // twice
  refuse([&](auto& o) { input(o)["shape"] = {-2}; });
  refuse([&](auto& o) { input(o)["shape"] = {"x"}; });
  refuse([&](auto& o) { input(o)["shape"] = boost::json::array(17, 1); });
}

TEST(MessagesTest, AttachCarriesEveryDescriptorToItsPlace) {
  channel::ConsumerGrant grant;
  grant.entries = 64;
  grant.epoch = 9;
  grant.control = AnyFd();
  grant.consumer_event = AnyFd();
  grant.producer_event = AnyFd();
  grant.requests.push_back({1, 4096, AnyFd()});
  grant.requests.push_back({4, 8192, AnyFd()});
  grant.responses.push_back({2, 16384, AnyFd()});
  const int last = grant.responses[0].fd.get();
  auto got = DecodeAttach(EncodeAttach(3, std::move(grant)));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(3u, got->first);
  EXPECT_EQ(9u, got->second.epoch);
  ASSERT_EQ(2u, got->second.requests.size());
  EXPECT_EQ(4u, got->second.requests[1].id);
  EXPECT_EQ(8192u, got->second.requests[1].bytes);
  ASSERT_EQ(1u, got->second.responses.size());
  EXPECT_EQ(last, got->second.responses[0].fd.get());
}

TEST(MessagesTest, AttachWithTooFewDescriptorsIsRefused) {
  channel::ConsumerGrant grant;
  grant.entries = 64;
  grant.requests.push_back({1, 4096, AnyFd()});
  grant.control = AnyFd();
  grant.consumer_event = AnyFd();
  grant.producer_event = AnyFd();
  Frame frame = EncodeAttach(0, std::move(grant));
  frame.fds.pop_back();
  EXPECT_FALSE(DecodeAttach(std::move(frame)).ok());
}

TEST(MessagesTest, BothEndsRefuseAnotherProtocol) {
  Frame hello = EncodeHello();
  EXPECT_TRUE(CheckHello(hello).ok());
  hello.payload = R"({"protocol":999})";
  EXPECT_EQ(StatusCode::kFailedPrecondition, CheckHello(hello).code());
  Frame start = EncodeStart({});
  EXPECT_TRUE(DecodeStart(start).ok());
  auto object = boost::json::parse(start.payload).as_object();
  object["protocol"] = 999;
  start.payload = boost::json::serialize(object);
  EXPECT_EQ(StatusCode::kFailedPrecondition, DecodeStart(start).status().code());
}

TEST(MessagesTest, RepliesCarryStatusAndObject) {
  const auto ok = DecodeReply(EncodeReply(5, OkStatus(), {{"a", 1}}));
  ASSERT_TRUE(ok.ok());
  EXPECT_EQ(1, ok->at("a").as_int64());
  const auto bad = DecodeReply(EncodeReply(5, InvalidArgument("no \"such\" thing")));
  EXPECT_EQ(StatusCode::kInvalidArgument, bad.status().code());
  EXPECT_EQ("no \"such\" thing", Message(bad.status()));
}

TEST(MessagesTest, ALoadNeedsOneDescriptorPerFile) {
  LoadModel load;
  load.handle = 4;
  load.name = "digits";
  load.version = "1";
  load.main_file = "a";
  load.files = {"a", "b"};
  std::vector<OwnedFd> fds;
  fds.push_back(AnyFd());
  fds.push_back(AnyFd());
  const Frame good = EncodeLoadModel(load, std::move(fds));
  EXPECT_TRUE(DecodeLoadModel(good).ok());
  const Frame bad = EncodeLoadModel(load, {});
  EXPECT_FALSE(DecodeLoadModel(bad).ok());
}

TEST(MessagesTest, PayloadsThatAreNoObjectsAreRefused) {
  for (const char* text : {"", "[]", "{", "{\"a\":1}x", "nul"}) {
    EXPECT_FALSE(ParsePayload(text).ok()) << text;
  }
}

}  // namespace
}  // namespace mlos::hostlink
