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

// What either end may know of the other is this text: another one is another protocol.
TEST(MessagesTest, AChangedMessageIsAnotherProtocol) {
  EXPECT_EQ(4u, kProtocol) << "raised with every change of a message: then the texts below are new";
  StartPlugin start{.directory = "d", .library = "l", .name = "n", .version = "v", .workers = 2};
  EXPECT_EQ(R"({"protocol":4,"directory":"d","library":"l","name":"n","version":"v","config":"{}",)"
            R"("workers":2})",
            EncodeStart(start).payload);
  LoadModel load{.handle = 7, .name = "m", .version = "1", .main_file = "f", .files = {"f"}};
  load.warm_up.push_back({"w", 2, {{"x", "FP32", {1, 2}, WarmUpInput::Data::kFile, 0}}});
  load.warm_up_files = 1;
  EXPECT_EQ(R"({"handle":7,"name":"m","version":"1","config":"{}","threads":1,"main":"f",)"
            R"("files":["f"],"warm_up":[{"name":"w","count":2,"inputs":[{"name":"x",)"
            R"("datatype":"FP32","shape":[1,2],"data":"file","file":0}]}],"warm_up_files":1})",
            EncodeLoadModel(load, {}).payload);
  EXPECT_EQ(R"({"running":1,"queued":2,"oldest_ms":3,"overdue_ms":4})",
            EncodeHeartbeat({1, 2, 3, 4}).payload);
  const ChannelTerms terms{.model = 4, .principal = 5, .in_place = true};
  EXPECT_EQ(R"({"channel":3,"terms":{"model":4,"principal":5,"in_place":true},"entries":64,)"
            R"("epoch":1,"requests":[],"responses":[]})",
            EncodeAttach(3, {.entries = 64, .epoch = 1}, &terms).payload);
  EXPECT_EQ(R"({"channel":3})", EncodeDetach(3).payload);
  EXPECT_EQ(R"({"inputs":[{"name":"image","datatype":"FP32","shape":[-1,64],"optional":false},)"
            R"({"name":"mask","datatype":"BYTES","shape":[],"optional":true}],"outputs":[)"
            R"({"name":"label","datatype":"INT64","shape":[-1],"optional":false}],)"
            R"("max_batch_size":8,"max_concurrency":3,"replay_safe":false,)"
            R"("memory_bytes":9223372036854775808,"platform":"onnxruntime_onnx"})",
            boost::json::serialize(EncodeModelInfo(Sample())));
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

TEST(MessagesTest, WhatWasServedComesThrough) {
  Served served;
  served.channel = 16;
  served.Count(StatusCode::kOk);
  served.Count(StatusCode::kOk);
  served.Count(StatusCode::kUnauthenticated);
  served.executions = 3;
  served.inferences = 8;
  served.queue_ns = 5;
  served.run_ns = 700;
  const auto got = DecodeServed(EncodeServed({served, {.channel = 17}}));
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(2u, got->size());
  EXPECT_EQ(2u, (*got)[0].answers[0]);
  EXPECT_EQ(1u, (*got)[0].answers[16]);
  EXPECT_EQ(8u, (*got)[0].inferences);
  EXPECT_EQ(700u, (*got)[0].run_ns);
  EXPECT_FALSE((*got)[1].any());
  Frame wrong = EncodeServed({served});
  wrong.payload = R"({"channels":[{"channel":16}]})";
  EXPECT_FALSE(DecodeServed(wrong).ok());
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
  EXPECT_EQ(3u, got->channel);
  EXPECT_EQ(9u, got->grant.epoch);
  ASSERT_EQ(2u, got->grant.requests.size());
  EXPECT_EQ(4u, got->grant.requests[1].id);
  EXPECT_EQ(8192u, got->grant.requests[1].bytes);
  ASSERT_EQ(1u, got->grant.responses.size());
  EXPECT_EQ(last, got->grant.responses[0].fd.get());
  EXPECT_FALSE(got->terms.has_value());
}

TEST(MessagesTest, AttachCarriesTheTermsOfAnApplication) {
  channel::ConsumerGrant grant;
  grant.entries = 64;
  grant.epoch = 1;
  grant.control = AnyFd();
  grant.consumer_event = AnyFd();
  grant.producer_event = AnyFd();
  const ChannelTerms terms{.model = 4, .principal = 5, .in_place = true};
  auto got = DecodeAttach(EncodeAttach(20, std::move(grant), &terms));
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_TRUE(got->terms.has_value());
  EXPECT_EQ(4u, got->terms->model);
  EXPECT_EQ(5u, got->terms->principal);
  EXPECT_TRUE(got->terms->in_place);
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
