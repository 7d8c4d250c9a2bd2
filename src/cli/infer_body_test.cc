// SPDX-License-Identifier: Apache-2.0
#include "cli/infer_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <cstdlib>
#include <fstream>

namespace mlos::cli {
namespace {

using testing::HasSubstr;

const char* const kMetadata = R"({"name":"m","inputs":[
  {"name":"X","datatype":"FP32","shape":[-1,2]},
  {"name":"H","datatype":"FP16","shape":[2]},
  {"name":"S","datatype":"BYTES","shape":[-1]},
  {"name":"N","datatype":"INT64","shape":[]}]})";

StatusOr<InferBody> Build(const std::vector<std::string>& inputs) {
  return BuildInferBody(inputs, boost::json::parse(kMetadata));
}

std::string TextOf(const std::vector<std::string>& inputs) {
  const auto body = Build(inputs);
  return body.ok() ? body->text : std::string(Message(body.status()));
}

TEST(InferBodyTest, JsonTakesItsShapeFromItself) {
  EXPECT_EQ(TextOf({"X=[[1,2],[3,4.5]]"}),
            R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2,2],"data":[1,2,3,4.5E0]}]})");
  EXPECT_EQ(TextOf({"N=7", "S=[\"a=b\"]"}),
            R"({"inputs":[{"name":"N","datatype":"INT64","shape":[],"data":[7]},)"
            R"({"name":"S","datatype":"BYTES","shape":[1],"data":["a=b"]}]})");
}

TEST(InferBodyTest, AFlatListTakesTheShapeOfTheModel) {
  EXPECT_THAT(TextOf({"X=[1,2,3,4,5,6]"}), HasSubstr(R"("shape":[3,2])"));
  // Not where it leaves no whole number.
  EXPECT_THAT(TextOf({"X=[1,2,3]"}), HasSubstr(R"("shape":[3])"));
}

TEST(InferBodyTest, HalvesGoAsBinary) {
  const auto body = Build({"H=[1,-2]"});
  ASSERT_TRUE(body.ok());
  ASSERT_GT(body->json_size, 0);
  EXPECT_THAT(body->text, HasSubstr(R"("parameters":{"binary_data_size":4})"));
  EXPECT_EQ(body->text.substr(static_cast<size_t>(body->json_size)),
            std::string("\x00\x3c\x00\xc0", 4));
}

TEST(InferBodyTest, HalvesAreRounded) {
  EXPECT_EQ(HalfOf(0.0F), 0);
  EXPECT_EQ(HalfOf(-0.0F), 0x8000);
  EXPECT_EQ(HalfOf(1.0F), 0x3c00);
  EXPECT_EQ(HalfOf(65504.0F), 0x7bff);
  EXPECT_EQ(HalfOf(65519.0F), 0x7bff);
  EXPECT_EQ(HalfOf(65520.0F), 0x7c00);
  EXPECT_EQ(HalfOf(1e30F), 0x7c00);
  EXPECT_EQ(HalfOf(6.1035156e-05F), 0x0400);  // the smallest normal one
  EXPECT_EQ(HalfOf(5.9604645e-08F), 0x0001);  // the smallest
  EXPECT_EQ(HalfOf(2.9802322e-08F), 0x0000);  // half of it: to even
  EXPECT_EQ(HalfOf(8.9406967e-08F), 0x0002);  // one and a half of it: to even
  EXPECT_EQ(HalfOf(1.00048828125F), 0x3c00);  // between two: to even
  EXPECT_EQ(HalfOf(1.00146484375F), 0x3c02);
  EXPECT_EQ(HalfOf(std::strtof("nan", nullptr)) & 0x7fffU, 0x7e00U);
  EXPECT_EQ(BrainOf(1.0F), 0x3f80);
  EXPECT_EQ(BrainOf(1.00390625F), 0x3f80);  // between two: to even
  EXPECT_EQ(BrainOf(1.01171875F), 0x3f82);
  EXPECT_EQ(BrainOf(std::strtof("inf", nullptr)), 0x7f80);
}

TEST(InferBodyTest, ArraysFromFiles) {
  char path[] = "/tmp/mlos-npy-XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  close(fd);
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}";
  std::string file = std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0';
  file += header + "abcdefgh";
  std::ofstream(path, std::ios::binary) << file;
  const auto body = Build({std::string("X=@") + path});
  ASSERT_TRUE(body.ok()) << Message(body.status());
  EXPECT_THAT(body->text,
              testing::StartsWith(R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1,2],)"
                                  R"("parameters":{"binary_data_size":8}}]})"));
  EXPECT_THAT(body->text, testing::EndsWith("abcdefgh"));
  EXPECT_THAT(TextOf({std::string("H=@") + path}), HasSubstr("has FP32, and the model takes FP16"));
  unlink(path);
  EXPECT_THAT(TextOf({std::string("X=@") + path}), HasSubstr("No such file"));
}

TEST(InferBodyTest, HalvesAreRoundedOnce) {
  // 1 + 2^-11 is half way between two halves, and goes to the even one; a hair
  // more does not, although no float is nearer.
  const auto body = Build({"H=[1.00048828125,1.000488281250001]"});
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_THAT(body->text, testing::EndsWith(std::string("\x00\x3c\x01\x3c", 4)));
}

TEST(InferBodyTest, NumbersAreSentAsTheyWereGiven) {
  EXPECT_THAT(TextOf({"X=[[0.1,123456789012345678e-25]]"}),
              HasSubstr("[1E-1,1.2345678901234567E-8]"));
  EXPECT_THAT(TextOf({"N=9007199254740993"}), HasSubstr("[9007199254740993]"));
  EXPECT_THAT(TextOf({"X=[1e400,1]"}), HasSubstr("'1e400' is larger than a double can be"));
}

TEST(InferBodyTest, WhatDoesNotFitIsRefusedByName) {
  EXPECT_THAT(TextOf({"x=1"}),
              HasSubstr("no input 'x' (did you mean 'X'?); it has: X FP32 [-1,2]"));
  EXPECT_THAT(TextOf({"X"}), HasSubstr("'X' is not T=JSON"));
  EXPECT_THAT(TextOf({"X=[1,2]", "X=[1,2]"}), HasSubstr("twice"));
  EXPECT_THAT(TextOf({"X=[1"}), HasSubstr("neither JSON nor @FILE.npy"));
  EXPECT_THAT(TextOf({"S=hello"}), HasSubstr("written with its quotes"));
  EXPECT_THAT(TextOf({"X=[[1,2],[3]]"}), HasSubstr("one length"));
  EXPECT_THAT(TextOf({"X=[[1,2],3]"}), HasSubstr("one depth"));
  EXPECT_THAT(TextOf({"X=[1,[2]]"}), HasSubstr("one depth"));
  EXPECT_THAT(TextOf({"X=[{\"a\":1}]"}), HasSubstr("numbers"));
  EXPECT_THAT(TextOf({"H=[\"a\",1]"}), HasSubstr("no number"));
  EXPECT_FALSE(BuildInferBody({"X=1"}, boost::json::value("x")).ok());
  EXPECT_FALSE(BuildInferBody({"X=1"}, boost::json::parse(R"({"inputs":[1]})")).ok());
}

}  // namespace
}  // namespace mlos::cli
