// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/infer_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlos::frontend {
namespace {

using tensor::Datatype;
using tensor::TensorDesc;
using testing::HasSubstr;

ModelInfo Model() {
  ModelInfo info;
  info.inputs = {{"image", Datatype::kFp32, {-1, 3, 8}, false},
                 {"label", Datatype::kBytes, {-1, 1}, false},
                 {"extra", Datatype::kInt64, {-1}, true}};
  info.outputs = {{"scores", Datatype::kFp32, {-1, 10}, false},
                  {"names", Datatype::kBytes, {-1, 10}, false}};
  info.max_batch_size = 4;
  return info;
}

TensorDesc Desc(Datatype datatype, std::vector<int64_t> dims) {
  TensorDesc desc;
  desc.datatype = static_cast<uint32_t>(datatype);
  desc.rank = static_cast<uint32_t>(dims.size());
  std::copy(dims.begin(), dims.end(), desc.dims);
  return desc;
}

class Planning : public testing::Test {
 protected:
  Planning() { builder_.Begin("digits", info_, &plan_); }

  Status Add(std::string_view name, TensorDesc desc) {
    const Status status = builder_.AddInput(name, &desc);
    if (status.ok()) descs_.push_back(desc);
    return status;
  }
  std::string Error(const Status& status) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    return std::string(Message(status));
  }

  const ModelInfo info_ = Model();
  tensor::RequestPlan plan_;
  PlanBuilder builder_;
  std::vector<TensorDesc> descs_;
};

TEST_F(Planning, PutsTensorsInTheModelsOrder) {
  ASSERT_TRUE(Add("label", Desc(Datatype::kBytes, {2, 1})).ok());
  ASSERT_TRUE(Add("image", Desc(Datatype::kFp32, {2, 3, 8})).ok());
  descs_[0].bytes = 77;
  uint32_t index = 9;
  ASSERT_TRUE(builder_.AddOutput("names", &index).ok());
  EXPECT_EQ(index, 1u);
  ASSERT_TRUE(builder_.AddOutput("scores", &index).ok());
  ASSERT_TRUE(builder_.Finish(descs_).ok());
  ASSERT_EQ(plan_.inputs.size(), 2u);
  EXPECT_EQ(plan_.inputs[0].index, 0u);
  EXPECT_EQ(plan_.inputs[0].bytes, 2u * 3 * 8 * 4);
  EXPECT_EQ(plan_.inputs[1].index, 1u);
  EXPECT_EQ(plan_.inputs[1].bytes, 77u);
  EXPECT_EQ(plan_.outputs, (std::vector<uint32_t>{0, 1}));
}

TEST_F(Planning, NamesWhatIsWrong) {
  EXPECT_THAT(Error(Add("imaeg", Desc(Datatype::kFp32, {1, 3, 8}))),
              HasSubstr("model 'digits': has no input 'imaeg'; its inputs are 'image' FP32 "
                        "[-1,3,8], 'label' BYTES [-1,1], 'extra' INT64 [-1]"));
  EXPECT_THAT(Error(Add("image", Desc(Datatype::kFp64, {1, 3, 8}))),
              HasSubstr("input 'image' has datatype FP64 but the model takes FP32"));
}

TEST_F(Planning, ChecksShapes) {
  EXPECT_THAT(Error(Add("image", Desc(Datatype::kFp32, {1, 3, 9}))),
              HasSubstr("has shape [1,3,9] but the model takes [-1,3,8]"));
  builder_.Begin("digits", info_, &plan_);
  EXPECT_THAT(Error(Add("image", Desc(Datatype::kFp32, {3, 8}))), HasSubstr("[3,8]"));
  builder_.Begin("digits", info_, &plan_);
  EXPECT_THAT(Error(Add("image", Desc(Datatype::kFp32, {-5, 3, 8}))), HasSubstr("negative"));
  builder_.Begin("digits", info_, &plan_);
  EXPECT_THAT(Error(Add("extra", Desc(Datatype::kInt64, {int64_t{1} << 61}))),
              HasSubstr("overflows"));
}

TEST_F(Planning, ChecksBatches) {
  EXPECT_THAT(Error(Add("image", Desc(Datatype::kFp32, {5, 3, 8}))),
              HasSubstr("batch size 5 but the model takes at most 4"));
  builder_.Begin("digits", info_, &plan_);
  ASSERT_TRUE(Add("image", Desc(Datatype::kFp32, {2, 3, 8})).ok());
  EXPECT_THAT(Error(Add("label", Desc(Datatype::kBytes, {3, 1}))),
              HasSubstr("batch size 3 but another input has 2"));
}

TEST_F(Planning, RefusesTwiceAndMissing) {
  ASSERT_TRUE(Add("image", Desc(Datatype::kFp32, {1, 3, 8})).ok());
  EXPECT_THAT(Error(Add("image", Desc(Datatype::kFp32, {1, 3, 8}))), HasSubstr("given twice"));
  EXPECT_THAT(Error(builder_.Finish(descs_)), HasSubstr("input 'label' is missing"));
  uint32_t index = 0;
  ASSERT_TRUE(builder_.AddOutput("scores", &index).ok());
  EXPECT_THAT(Error(builder_.AddOutput("scores", &index)), HasSubstr("asked for twice"));
  EXPECT_THAT(Error(builder_.AddOutput("score", &index)), HasSubstr("has no output 'score'"));
}

TEST(QuoteText, IsShortPrintableAndWholeUtf8) {
  EXPECT_EQ(Quote("abc"), "'abc'");
  EXPECT_EQ(Quote(std::string_view("a\0\nb", 4)), "'a??b'");
  EXPECT_EQ(Quote(std::string(500, 'x')), "'" + std::string(128, 'x') + "...'");
  // 127 letters, then a character of two bytes that would be cut in two.
  EXPECT_EQ(Quote(std::string(127, 'x') + "\xc3\xa9" + "yy"), "'" + std::string(127, 'x') + "...'");
}

TEST(TensorListText, IsBounded) {
  const std::vector<TensorInfo> many(20, {"t", Datatype::kBool, {}, false});
  EXPECT_THAT(TensorList(many), HasSubstr(" and 4 more"));
  EXPECT_EQ(TensorList({}), "none");
}

}  // namespace
}  // namespace mlos::frontend
