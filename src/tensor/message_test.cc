// SPDX-License-Identifier: Apache-2.0
#include "tensor/message.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <limits>

namespace mlos::tensor {
namespace {

// The byte layout that docs/channel.md promises to other programs.  A change
// here is a new kMessageVersion.
TEST(MessageLayout, Golden) {
  EXPECT_EQ(offsetof(TensorDesc, index), 0u);
  EXPECT_EQ(offsetof(TensorDesc, datatype), 4u);
  EXPECT_EQ(offsetof(TensorDesc, rank), 8u);
  EXPECT_EQ(offsetof(TensorDesc, segment), 12u);
  EXPECT_EQ(offsetof(TensorDesc, offset), 16u);
  EXPECT_EQ(offsetof(TensorDesc, bytes), 24u);
  EXPECT_EQ(offsetof(TensorDesc, dims), 32u);
  EXPECT_EQ(sizeof(TensorDesc), 160u);
  EXPECT_EQ(offsetof(RequestHeader, magic), 0u);
  EXPECT_EQ(offsetof(RequestHeader, version), 4u);
  EXPECT_EQ(offsetof(RequestHeader, input_count), 8u);
  EXPECT_EQ(offsetof(RequestHeader, output_count), 12u);
  EXPECT_EQ(offsetof(RequestHeader, parameter_bytes), 16u);
  EXPECT_EQ(sizeof(RequestHeader), 24u);
  EXPECT_EQ(offsetof(ResponseHeader, code), 8u);
  EXPECT_EQ(offsetof(ResponseHeader, output_count), 12u);
  EXPECT_EQ(offsetof(ResponseHeader, text_bytes), 16u);
  EXPECT_EQ(sizeof(ResponseHeader), 24u);
  EXPECT_EQ(std::memcmp(&kRequestMagic, "MLRQ", 4), 0);
  EXPECT_EQ(std::memcmp(&kResponseMagic, "MLRS", 4), 0);
  EXPECT_EQ(kMessageVersion, 1u);
  EXPECT_EQ(kDataAlignment, 64u);
}

TensorDesc Fp32(uint32_t index, std::vector<int64_t> dims) {
  TensorDesc desc;
  desc.index = index;
  desc.datatype = static_cast<uint32_t>(Datatype::kFp32);
  desc.rank = static_cast<uint32_t>(dims.size());
  std::copy(dims.begin(), dims.end(), desc.dims);
  EXPECT_TRUE(ByteSize(Datatype::kFp32, dims, &desc.bytes));
  return desc;
}

std::vector<std::byte> Write(RequestPlan* plan, uint64_t block_offset = 4096) {
  uint64_t bytes = 0;
  EXPECT_TRUE(LayOutRequest(plan, &bytes));
  std::vector<std::byte> block(bytes);
  WriteRequest(*plan, 7, block_offset, block);
  return block;
}

RequestPlan TwoInputs() {
  RequestPlan plan;
  plan.inputs = {Fp32(0, {1, 3}), Fp32(2, {5})};
  plan.outputs = {1, 4};
  plan.parameters = R"({"k":1})";
  return plan;
}

TEST(Request, RoundTrip) {
  RequestPlan plan = TwoInputs();
  const auto block = Write(&plan);
  // header 24, two descriptors 320, two outputs 8, parameters 8: 360
  EXPECT_EQ(plan.inputs[0].offset, 384u);
  EXPECT_EQ(plan.inputs[1].offset, 448u);
  EXPECT_EQ(block.size(), 448u + 20u);

  RequestView view;
  ASSERT_TRUE(ReadRequest(block, &view).ok());
  ASSERT_EQ(view.inputs.size(), 2u);
  EXPECT_EQ(view.inputs[1].index, 2u);
  EXPECT_EQ(view.inputs[1].segment, 7u);
  EXPECT_EQ(view.inputs[1].offset, 4096u + 448u);
  EXPECT_EQ(view.inputs[1].bytes, 20u);
  EXPECT_EQ(ShapeText(view.inputs[0].shape()), "[1,3]");
  EXPECT_EQ(view.outputs, (std::vector<uint32_t>{1, 4}));
  ASSERT_TRUE(view.has_parameters);
  EXPECT_STREQ(view.parameter_text.data(), R"({"k":1})");
}

TEST(Request, EmptyOneAndReuseOfTheView) {
  RequestPlan full = TwoInputs();
  RequestView view;
  ASSERT_TRUE(ReadRequest(Write(&full), &view).ok());
  RequestPlan empty;
  ASSERT_TRUE(ReadRequest(Write(&empty), &view).ok());
  EXPECT_TRUE(view.inputs.empty());
  EXPECT_TRUE(view.outputs.empty());
  EXPECT_FALSE(view.has_parameters);
}

TEST(Request, LayOutRefusesWhatDoesNotFit) {
  uint64_t bytes = 0;
  RequestPlan plan;
  plan.inputs.resize(2);
  plan.inputs[0].bytes = uint64_t{1} << 48;
  EXPECT_FALSE(LayOutRequest(&plan, &bytes));
  plan.inputs[0].bytes = std::numeric_limits<uint64_t>::max();
  EXPECT_FALSE(LayOutRequest(&plan, &bytes));
  plan.inputs[0].bytes = (uint64_t{1} << 48) - 1024;
  plan.inputs[1].bytes = 1024;
  EXPECT_FALSE(LayOutRequest(&plan, &bytes));
  plan.inputs.clear();
  const std::string parameters(kMaxParameterBytes + 1, ' ');
  plan.parameters = parameters;
  EXPECT_FALSE(LayOutRequest(&plan, &bytes));
  plan.parameters = {};
  plan.inputs.resize(kMaxTensors + 1);
  EXPECT_FALSE(LayOutRequest(&plan, &bytes));
}

TEST(Request, EveryTruncationIsRefused) {
  RequestPlan plan = TwoInputs();
  const auto block = Write(&plan);
  RequestView view;
  for (size_t n = 0; n < 360; ++n) {
    EXPECT_FALSE(ReadRequest(std::span(block).first(n), &view).ok()) << n;
  }
  // What is missing then is data, which the caller checks against segments.
  EXPECT_TRUE(ReadRequest(std::span(block).first(360), &view).ok());
}

template <typename T>
void Poke(std::vector<std::byte>* block, size_t at, T value) {
  std::memcpy(block->data() + at, &value, sizeof(value));
}

constexpr size_t kFirstDesc = sizeof(RequestHeader);

TEST(Request, RefusesLies) {
  struct Lie {
    const char* what;
    size_t at;
    uint64_t value;
    size_t width;
  };
  const Lie lies[] = {
      {"magic", 0, 0, 4},
      {"version", 4, 2, 4},
      {"input count", 8, 0xffffffff, 4},
      {"input count within bounds", 8, 4096, 4},
      {"output count", 12, 0xffffffff, 4},
      {"parameter bytes", 16, 0xffffffff, 4},
      {"datatype", kFirstDesc + 4, 0x9999, 4},
      {"rank", kFirstDesc + 8, 17, 4},
      {"rank and shape", kFirstDesc + 8, 1, 4},
      {"bytes", kFirstDesc + 24, 13, 8},
      {"negative dimension", kFirstDesc + 32, static_cast<uint64_t>(-1), 8},
      {"overflow", kFirstDesc + 32, uint64_t{1} << 62, 8},
      {"ascending inputs", kFirstDesc, 2, 4},
      {"ascending outputs", kFirstDesc + 320, 4, 4},
      {"NUL in parameters", kFirstDesc + 328, 0, 1},
  };
  for (const Lie& lie : lies) {
    RequestPlan plan = TwoInputs();
    auto block = Write(&plan);
    std::memcpy(block.data() + lie.at, &lie.value, lie.width);
    RequestView view;
    EXPECT_EQ(ReadRequest(block, &view).code(), StatusCode::kInvalidArgument) << lie.what;
  }
}

TEST(Request, BytesTensorCannotClaimMoreElementsThanItHasRoomFor) {
  RequestPlan plan;
  plan.inputs = {Fp32(0, {2})};
  plan.inputs[0].datatype = static_cast<uint32_t>(Datatype::kBytes);
  plan.inputs[0].bytes = 11;
  RequestView view;
  EXPECT_TRUE(ReadRequest(Write(&plan), &view).ok());
  plan.inputs[0].dims[0] = 3;
  EXPECT_FALSE(ReadRequest(Write(&plan), &view).ok());
}

TEST(Request, UnterminatedParametersAreTerminatedInTheCopy) {
  RequestPlan plan = TwoInputs();
  auto block = Write(&plan);
  Poke(&block, kFirstDesc + 328 + 7, 'x');
  RequestView view;
  ASSERT_TRUE(ReadRequest(block, &view).ok());
  EXPECT_STREQ(view.parameter_text.data(), R"({"k":1})");
}

TEST(Response, RoundTrip) {
  TensorDesc outputs[] = {Fp32(3, {2}), Fp32(1, {4})};
  outputs[0].segment = 9;
  outputs[0].offset = 128;
  std::vector<std::byte> block(ResponseBlockBytes(2, 5));
  WriteResponse(StatusCode::kInvalidArgument, outputs, "wrong", block);
  ResponseView view;
  ASSERT_TRUE(ReadResponse(block, &view).ok());
  EXPECT_EQ(view.code, StatusCode::kInvalidArgument);
  EXPECT_EQ(view.text, "wrong");
  ASSERT_EQ(view.outputs.size(), 2u);
  EXPECT_EQ(view.outputs[0].index, 3u);
  EXPECT_EQ(view.outputs[0].segment, 9u);
  EXPECT_EQ(view.outputs[0].offset, 128u);
  for (size_t n = 0; n < block.size(); ++n) {
    EXPECT_FALSE(ReadResponse(std::span(block).first(n), &view).ok()) << n;
  }
}

TEST(Response, LongTextIsCutAndUnknownCodesAreInternal) {
  const std::string text(kMaxTextBytes + 10, 'x');
  std::vector<std::byte> block(ResponseBlockBytes(0, kMaxTextBytes));
  WriteResponse(StatusCode::kNotFound, {}, text, block);
  ResponseView view;
  ASSERT_TRUE(ReadResponse(block, &view).ok());
  EXPECT_EQ(view.text.size(), kMaxTextBytes);
  for (const int32_t code : {-1, 17, 1000}) {
    Poke(&block, offsetof(ResponseHeader, code), code);
    ASSERT_TRUE(ReadResponse(block, &view).ok());
    EXPECT_EQ(view.code, StatusCode::kInternal) << code;
  }
  Poke(&block, offsetof(ResponseHeader, text_bytes), kMaxTextBytes + 1);
  EXPECT_FALSE(ReadResponse(block, &view).ok());
  Poke(&block, 0, kRequestMagic);
  EXPECT_FALSE(ReadResponse(block, &view).ok());
}

}  // namespace
}  // namespace mlos::tensor
