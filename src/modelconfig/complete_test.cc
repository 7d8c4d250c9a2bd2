// SPDX-License-Identifier: Apache-2.0
#include "modelconfig/complete.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modelconfig/text.h"

namespace mlos::modelconfig {
namespace {

using testing::HasSubstr;

ModelInfo Batching() {
  ModelInfo info;
  info.inputs = {{"x", tensor::Datatype::kFp32, {-1, 3, -1}, false},
                 {"mask", tensor::Datatype::kBool, {-1}, true}};
  info.outputs = {{"y", tensor::Datatype::kBytes, {-1, 10}, false}};
  info.max_batch_size = 8;
  info.platform = "onnxruntime_onnx";
  return info;
}

ModelInfo Plain() {
  ModelInfo info = Batching();
  info.max_batch_size = 0;
  return info;
}

inference::ModelConfig Text(std::string_view text) {
  const auto config = ParseText(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : inference::ModelConfig();
}

std::string Contradiction(std::string_view text, const ModelInfo& info) {
  const Status status = Check(Text(text), info);
  EXPECT_EQ(StatusCode::kFailedPrecondition, status.code()) << text;
  return std::string(Message(status));
}

std::vector<int64_t> DimsOf(const google::protobuf::RepeatedField<int64_t>& dims) {
  return {dims.begin(), dims.end()};
}

TEST(CompleteTest, MakesAConfigurationOfNothing) {
  inference::ModelConfig config;
  Complete("m", "onnxruntime", Batching(), &config);
  EXPECT_EQ("m", config.name());
  EXPECT_EQ("onnxruntime", config.backend());
  EXPECT_EQ("onnxruntime_onnx", config.platform());
  EXPECT_EQ(8, config.max_batch_size());
  ASSERT_EQ(2, config.input_size());
  EXPECT_EQ("x", config.input(0).name());
  EXPECT_EQ(inference::TYPE_FP32, config.input(0).data_type());
  EXPECT_EQ((std::vector<int64_t>{3, -1}), DimsOf(config.input(0).dims()));
  EXPECT_FALSE(config.input(0).optional());
  EXPECT_TRUE(config.input(1).optional());
  EXPECT_EQ(0, config.input(1).dims_size());
  EXPECT_EQ(inference::TYPE_STRING, config.output(0).data_type());
  EXPECT_EQ(std::vector<int64_t>{10}, DimsOf(config.output(0).dims()));
}

TEST(CompleteTest, WithoutBatchesAllDimensionsAreTold) {
  inference::ModelConfig config;
  Complete("m", "p", Plain(), &config);
  EXPECT_EQ(0, config.max_batch_size());
  EXPECT_EQ((std::vector<int64_t>{-1, 3, -1}), DimsOf(config.input(0).dims()));
}

TEST(CompleteTest, KeepsWhatWasSaid) {
  inference::ModelConfig config = Text(R"(max_batch_size: 8 input { name: "mask" }
    input { name: "x" dims: [3, 4] format: FORMAT_NCHW } dynamic_batching {})");
  ASSERT_TRUE(Check(config, Batching()).ok());
  Complete("m", "p", Batching(), &config);
  ASSERT_EQ(2, config.input_size());
  EXPECT_EQ("mask", config.input(0).name());
  EXPECT_EQ(inference::TYPE_BOOL, config.input(0).data_type());
  EXPECT_EQ((std::vector<int64_t>{3, 4}), DimsOf(config.input(1).dims()));
  EXPECT_EQ(inference::ModelInput::FORMAT_NCHW, config.input(1).format());
  EXPECT_TRUE(config.has_dynamic_batching());
}

TEST(CompleteTest, NamesWhatContradictsTheModel) {
  const ModelInfo info = Batching();
  EXPECT_THAT(Contradiction("max_batch_size: 4", info), HasSubstr("max_batch_size is 4"));
  EXPECT_THAT(Contradiction("max_batch_size: -1", info), HasSubstr("-1"));
  EXPECT_THAT(Contradiction("max_batch_size: 4", Plain()), HasSubstr("takes no batches"));
  EXPECT_THAT(Contradiction(R"(input { name: "X1" })", info),
              testing::AllOf(HasSubstr("input 'X1'"), HasSubstr("x, mask")));
  EXPECT_THAT(Contradiction(R"(input { name: "x" } input { name: "x" })", info),
              HasSubstr("twice"));
  EXPECT_THAT(Contradiction(R"(output { name: "y" data_type: TYPE_FP32 })", info),
              testing::AllOf(HasSubstr("TYPE_FP32"), HasSubstr("TYPE_STRING")));
  EXPECT_THAT(Contradiction(R"(input { name: "x" dims: [3] })", info),
              testing::AllOf(HasSubstr("[3]"), HasSubstr("[3,-1]"), HasSubstr("batch")));
  EXPECT_THAT(Contradiction(R"(input { name: "x" dims: [4, 1] })", info), HasSubstr("[4,1]"));
  EXPECT_THAT(Contradiction(R"(input { name: "x" dims: [3, 0] })", info), HasSubstr("dimension 0"));
  EXPECT_THAT(Contradiction(R"(input { name: "x" optional: true })", info), HasSubstr("needs it"));
  EXPECT_TRUE(
      Check(Text(R"(input { name: "x" dims: [-1, 7] } output { name: "y" dims: [10] })"), info)
          .ok());
}

TEST(CompleteTest, AConfigurationIsForOneModelAndOnePlugin) {
  const auto check = [](std::string_view text) {
    return CheckIdentity(Text(text), "m", "onnxruntime");
  };
  EXPECT_TRUE(check("").ok());
  EXPECT_TRUE(check(R"(name: "m" backend: "onnxruntime" platform: "onnxruntime_onnx")").ok());
  EXPECT_THAT(Message(check(R"(name: "n")")), HasSubstr("'n'"));
  EXPECT_THAT(Message(check(R"(backend: "tensorrt")")), HasSubstr("'tensorrt'"));
  EXPECT_THAT(Message(check(R"(platform: "tensorrt_plan")")), HasSubstr("'tensorrt_plan'"));
}

TEST(CompleteTest, EveryDatatypeHasOneName) {
  for (int i = inference::DataType_MIN; i <= inference::DataType_MAX; ++i) {
    const auto type = static_cast<inference::DataType>(i);
    EXPECT_EQ(type, WireDatatype(DatatypeOf(type))) << inference::DataType_Name(type);
  }
}

}  // namespace
}  // namespace mlos::modelconfig
