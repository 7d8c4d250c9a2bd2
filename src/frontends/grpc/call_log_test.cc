// SPDX-License-Identifier: Apache-2.0
//
// What is known of calls afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/log.h"
#include "frontends/grpc/grpc_fixture.h"

namespace mlos::grpc {
namespace {

using testing::HasSubstr;

class CallLogTest : public GrpcTest {
 protected:
  // Lines about calls, since the last look.
  std::string Lines(const std::string& message, std::string_view path = kInfer) {
    const uint64_t before = RecentLog().Read(0, 0, LogLevel::kDebug).next - 1;
    id_ = Ask(message, path).header("x-request-id");
    std::string out;
    for (const auto& line : RecentLog().Read(100, before, LogLevel::kDebug).lines) {
      out += line.text + "\n";
      fields_ = {line.fields.begin(), line.fields.end()};
    }
    return out;
  }
  std::string id_;
  std::map<std::string, std::string> fields_;
};

TEST_F(CallLogTest, AFailureIsLoggedWithTheIdThatTheClientGets) {
  EXPECT_THAT(Lines(Floats("fail_INTERNAL", {1}).SerializeAsString()),
              HasSubstr("gRPC ModelInfer answered INTERNAL"));
  EXPECT_FALSE(id_.empty());
  EXPECT_EQ(id_, fields_["request_id"]);
  EXPECT_EQ("inference.GRPCInferenceService/ModelInfer", fields_["method"]);
}

TEST_F(CallLogTest, MistakesOfClientsAreNoFaultsAndHaveAnIdAllTheSame) {
  EXPECT_EQ("", Lines(Floats("none", {1}).SerializeAsString()));
  EXPECT_FALSE(id_.empty());
}

TEST_F(CallLogTest, ARequestThatFailsInAStreamIsLoggedToo) {
  EXPECT_THAT(Lines(Floats("fail_INTERNAL", {1}).SerializeAsString(), kStream),
              HasSubstr("gRPC ModelStreamInfer answered INTERNAL"));
}

TEST_F(CallLogTest, WhatIsWellIsLoggedAtLevelDebug) {
  const std::string message = Floats("id_FP32", {1}).SerializeAsString();
  EXPECT_EQ("", Lines(message));
  EXPECT_EQ("", id_);
  SetLogLevel(LogLevel::kDebug);
  EXPECT_THAT(Lines(message), HasSubstr("gRPC ModelInfer answered OK"));
  SetLogLevel(LogLevel::kInfo);
}

}  // namespace
}  // namespace mlos::grpc
