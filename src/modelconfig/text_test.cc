// SPDX-License-Identifier: Apache-2.0
#include "modelconfig/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlos::modelconfig {
namespace {

using testing::HasSubstr;

constexpr std::string_view kImages = R"(
# A classifier of images.
name: "images"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  { name: "pixels" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 224, 224 ] }
]
output { name: "scores" data_type: TYPE_FP32 dims: -1 label_filename: "labels.txt" }
instance_group [ { count: 2 kind: KIND_CPU } ]
version_policy { specific { versions: [1, 3] } }
parameters { key: "intra_op_thread_count" value { string_value: "2" } }
parameters: { key: "execution_mode", value: { string_value: "0" } }
dynamic_batching { }
)";

std::string Refused(std::string_view text) {
  const auto config = ParseText(text);
  EXPECT_FALSE(config.ok()) << config->DebugString();
  EXPECT_EQ(StatusCode::kInvalidArgument, config.status().code());
  return std::string(Message(config.status()));
}

TEST(ModelConfigTextTest, ReadsWhatPeopleWrite) {
  const auto read = ParseText(kImages);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ("images", read->name());
  EXPECT_EQ(8, read->max_batch_size());
  ASSERT_EQ(1, read->input_size());
  EXPECT_EQ(inference::ModelInput::FORMAT_NCHW, read->input(0).format());
  EXPECT_EQ(3, read->input(0).dims_size());
  EXPECT_EQ("labels.txt", read->output(0).label_filename());
  EXPECT_EQ(2, read->version_policy().specific().versions_size());
  EXPECT_EQ("2", read->parameters().at("intra_op_thread_count").string_value());
  EXPECT_TRUE(read->has_dynamic_batching());
  EXPECT_TRUE(ParseText("").ok());
}

TEST(ModelConfigTextTest, SaysWhereSomethingIsWrong) {
  EXPECT_THAT(Refused("name: \"m\"\nmax_batch: 8\n"),
              testing::AllOf(HasSubstr("line 2, column 1"), HasSubstr("max_batch")));
  EXPECT_THAT(Refused("max_batch_size: \"many\""), HasSubstr("line 1, column 17"));
  EXPECT_THAT(Refused("input { data_type: TYPE_FP33 }"), HasSubstr("TYPE_FP33"));
  EXPECT_THAT(Refused("name: \"m"), HasSubstr("line 1"));
  EXPECT_THAT(Refused("input { "), HasSubstr("line 1"));
  EXPECT_THAT(Refused("max_batch_size: 1 max_batch_size: 2"), HasSubstr("max_batch_size"));
  EXPECT_THAT(Refused("max_batch_size: 99999999999"), HasSubstr("range"));
}

TEST(ModelConfigTextTest, OfSeveralChoicesOneIsTaken) {
  EXPECT_FALSE(ParseText("version_policy { latest { num_versions: 1 } all {} }").ok());
}

TEST(ModelConfigTextTest, RefusesWhatCouldNotBePassedOn) {
  EXPECT_THAT(Refused("input { name: \"\\377\" }"),
              testing::AllOf(HasSubstr("input[0].name"), HasSubstr("UTF-8")));
  EXPECT_THAT(Refused("parameters { key: \"a\" value { string_value: \"\\300\" } }"),
              HasSubstr("UTF-8"));
  EXPECT_THAT(Refused("input { data_type: 99 }"), HasSubstr("99"));
  EXPECT_THAT(Refused(std::string(kMaxTextBytes + 1, ' ')), HasSubstr("bytes"));
}

TEST(ModelConfigTextTest, NestsNoDeeperThanTheMessages) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "input {";
  EXPECT_FALSE(ParseText(deep).ok());
  std::string unknown = "no_such_field ";
  for (int i = 0; i < 100'000; ++i) unknown += "{ a ";
  EXPECT_FALSE(ParseText(unknown).ok());
}

}  // namespace
}  // namespace mlos::modelconfig
