// SPDX-License-Identifier: Apache-2.0
//
// What the messages mean to a daemon is tested with one (tests/daemon); here is
// what cannot be sent or understood.
#include "cli/infer_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/protobuf_reader.h"
#include "base/protobuf_writer.h"
#include "cli/request.h"

namespace mlos::cli {
namespace {

using testing::HasSubstr;

StatusOr<std::string> Encode(const std::string& body, long json_size = -1) {
  Request request = InferRequest("m", "");
  request.body = body;
  request.json_size = json_size;
  return EncodeInfer(request);
}

std::string Refusal(const std::string& body, long json_size = -1) {
  const auto message = Encode(body, json_size);
  EXPECT_FALSE(message.ok()) << body;
  return std::string(Message(message.status()));
}

std::string Input(const std::string& datatype, const std::string& data) {
  return R"({"inputs":[{"name":"x","datatype":")" + datatype + R"(","shape":[1],"data":)" + data +
         "}]}";
}

// The bytes of the only tensor.
std::string Raw(const std::string& body, long json_size = -1) {
  const auto message = Encode(body, json_size);
  if (!message.ok()) return std::string(Message(message.status()));
  FieldReader reader(*message);
  WireField field;
  std::string raw = "none";
  while (reader.Next(&field)) {
    if (field.number == 7) raw = field.bytes;
  }
  return raw;
}

TEST(InferMessageTest, AParameterMayBeAnyWholeNumberOf64Bits) {
  const std::string highest = "18446744073709551615";
  const auto message = Encode(R"({"parameters":{"priority":)" + highest + R"(},"inputs":[]})");
  ASSERT_TRUE(message.ok()) << message.status();
  // Field 5 of a parameter: ten bytes of a varint.
  EXPECT_THAT(*message, HasSubstr("\x28" + std::string(9, '\xff') + "\x01"));
}

TEST(InferMessageTest, TensorsAreBytesWhateverTheirForm) {
  EXPECT_EQ(std::string("\1\0\xfe\xff", 4), Raw(Input("INT16", "[[1],[[-2]]]")));
  EXPECT_EQ(std::string("\0\0\x80\x3f", 4), Raw(Input("FP32", "[1]")));
  EXPECT_EQ(std::string("\1\0", 2), Raw(Input("BOOL", "[true,false]")));
  EXPECT_EQ(std::string("\2\0\0\0hi\0\0\0\0", 10), Raw(Input("BYTES", R"(["hi",""])")));
  EXPECT_EQ("", Raw(Input("FP64", "[]")));
  const std::string json =
      R"({"inputs":[{"name":"x","datatype":"FP16","shape":[1],"parameters":{"binary_data_size":2}}]})";
  EXPECT_EQ("ab", Raw(json + "ab", static_cast<long>(json.size())));
  EXPECT_EQ("none", Raw(R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":
      {"shared_memory_region":"r","shared_memory_byte_size":4}}]})"));
}

TEST(InferMessageTest, SaysWhatCannotBeSent) {
  EXPECT_THAT(Refusal("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("[]"), HasSubstr("no \"inputs\""));
  EXPECT_THAT(Refusal(R"({"inputs":[1]})"), HasSubstr("not an object"));
  EXPECT_THAT(Refusal(R"({"inputs":[{"name":"x","datatype":"FP32"}]})"),
              HasSubstr("input 'x': \"shape\""));
  EXPECT_THAT(Refusal(Input("INT8", "[128]")), HasSubstr("out of range"));
  EXPECT_THAT(Refusal(Input("UINT8", "[-1]")), HasSubstr("out of range"));
  EXPECT_THAT(Refusal(Input("INT32", "[1.5]")), HasSubstr("no number"));
  EXPECT_THAT(Refusal(Input("FP32", "[1e39]")), HasSubstr("out of range"));
  EXPECT_THAT(Refusal(Input("FP32", R"(["1"])")), HasSubstr("no number"));
  EXPECT_THAT(Refusal(Input("BOOL", "[1]")), HasSubstr("neither true nor false"));
  EXPECT_THAT(Refusal(Input("BYTES", "[1]")), HasSubstr("no string"));
  EXPECT_THAT(Refusal(Input("FP16", "[1]")), HasSubstr("no JSON form"));
  EXPECT_THAT(Refusal(Input("WHAT", "[1]")), HasSubstr("no JSON form"));
  const std::string claim =
      R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":9}}]})";
  EXPECT_THAT(Refusal(claim + "ab", static_cast<long>(claim.size())),
              HasSubstr("binary_data_size"));
  EXPECT_THAT(Refusal(R"({"inputs":[],"outputs":{}})"), HasSubstr("\"outputs\""));
  EXPECT_THAT(Refusal(R"({"inputs":[],"parameters":{"a":[]}})"), HasSubstr("a parameter"));
}

// An answer with one output of this datatype, shape and bytes.
std::string Output(const std::string& datatype, const std::string& shape,
                   const std::string& bytes) {
  Buffer output;
  AppendString(1, "y", &output);
  AppendString(2, datatype, &output);
  AppendString(3, shape, &output);
  Buffer out;
  AppendString(1, "m", &out);
  AppendString(2, "1", &out);
  AppendString(5, output.view(), &out);
  AppendFieldHead(6, bytes.size(), &out);
  out.Append(bytes);
  return std::string(out.view());
}

TEST(InferMessageTest, AnswersReadAsOverHttp) {
  EXPECT_EQ(R"({"model_name":"m","model_version":"1","outputs":[)"
            R"({"name":"y","datatype":"FP32","shape":[1,1],"data":[1.0]}]})",
            DecodeInfer(Output("FP32", "\1\1", std::string("\0\0\x80\x3f", 4))).value());
  EXPECT_THAT(std::string(Message(DecodeInfer(Output("FP16", "\1", "ab")).status())),
              HasSubstr("output 'y': FP16 has no JSON form"));
}

TEST(InferMessageTest, AnswersThatAreNoneAreNotUnderstood) {
  const std::string whole = Output("FP32", "\1", "abcd");
  for (const std::string& bad :
       {whole.substr(0, whole.size() - 1), std::string("\x0b"), Output("FP32", "\x80", "abcd"),
        Output("FP32", "\2", "abcd"),
        Output("FP32", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "abcd"),
        Output("BYTES", "\1", "abc"), whole + whole.substr(whole.size() - 6)}) {
    EXPECT_FALSE(DecodeInfer(bad).ok());
  }
  EXPECT_FALSE(DecodeDescribe("\x0b").ok());
}

}  // namespace
}  // namespace mlos::cli
