// SPDX-License-Identifier: Apache-2.0
//
// That the messages are those of protocol buffers is tested with its library in
// frontends/grpc.
#include "operations/message_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <limits>

#include "base/json.h"
#include "base/protobuf_writer.h"
#include "operations/body.h"
#include "operations/objects.h"
#include "operations/struct_codec.h"
#include "operations/table_check.h"

namespace mlos::operations {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

json::value Sample(Type type) {
  switch (type) {
    case Type::kInteger:
      return uint64_t{18'000'000'000'000'000'000u};
    case Type::kBoolean:
      return true;
    case Type::kObject:
      return ParseJson(R"({"b":[1,-2.5,null,{"x":"y"}],"a":{}})").value();
    case Type::kPath:
      return "/a/path";
    case Type::kVersion:
      return "12";
    case Type::kLogLevel:
      return "info";
    default:
      return "text";
  }
}

json::value SampleOf(ObjectKind kind) {
  const ObjectRow& row = Object(kind);
  if (row.members.empty()) return Sample(Type::kObject);
  json::object out;
  for (const Member& member : row.members) {
    const json::value one =
        member.of == ObjectKind::kUnset ? Sample(member.type) : SampleOf(member.of);
    out[json::string_view(member.name.data(), member.name.size())] =
        member.is == Is::kList ? json::value(json::array{one, one}) : one;
  }
  return out;
}

TEST(MessageCodecTest, RequestsComeOutAsTheyWentIn) {
  for (const OperationRow& row : Operations()) {
    RequestMessage request;
    if (HasParameter(row, "NAME")) request.name = "n";
    if (HasParameter(row, "VERSION")) request.version = "1.2.3";
    for (const Field& field : row.fields) {
      request.members[json::string_view(field.name.data(), field.name.size())] = Sample(field.type);
    }
    ASSERT_TRUE(CheckMembers(row, request.members).ok()) << row.name;
    const auto read = DecodeRequest(row, EncodeRequest(row, request));
    ASSERT_TRUE(read.ok()) << row.name << read.status();
    EXPECT_EQ(request.name, read->name) << row.name;
    EXPECT_EQ(request.version, read->version) << row.name;
    EXPECT_EQ(json::serialize(request.members), json::serialize(read->members)) << row.name;
  }
}

TEST(MessageCodecTest, AnswersComeOutAsTheyWentIn) {
  for (const OperationRow& row : Operations()) {
    const AnswerMessage answer{SampleOf(row.answers), !row.can_wait()};
    const auto read = DecodeAnswer(row, EncodeAnswer(row, answer));
    ASSERT_TRUE(read.ok()) << row.name << read.status();
    EXPECT_EQ(json::serialize(answer.body), json::serialize(read->body)) << row.name;
    EXPECT_EQ(answer.done, read->done) << row.name;
  }
}

// What is empty is not sent, and is there again when it is read.
TEST(MessageCodecTest, MembersOfAnObjectAreAllThere) {
  const OperationRow& row = Row(OperationKind::kGetModelVersion);
  const auto read = DecodeAnswer(row, "");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(
      R"({"name":"","version":null,"state":"","reason":"","plugin":"","plugin_version":"",)"
      R"("desired":"","path":null,"format":"","owner":"","labels":[],"metadata":{},"files":[]})",
      json::serialize(read->body));
}

TEST(MessageCodecTest, AModelsVersionMayBeANumber) {
  const OperationRow& row = Row(OperationKind::kRegisterModel);
  const auto read = DecodeRequest(row, EncodeRequest(row, {"", "", {{"version", 3}}}));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ("3", read->members.at("version").as_string());
  EXPECT_EQ(1u, read->members.size());
}

TEST(MessageCodecTest, WhatIsNotKnownIsPassedOver) {
  Buffer message;
  AppendNumber(99, 7, &message);
  AppendNumber(kNameNumber, 7, &message);  // a number, where a text stands
  AppendString(kNameNumber, "m", &message);
  AppendString(100, "later", &message);
  const auto read = DecodeRequest(Row(OperationKind::kGetModel), message.view());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ("m", read->name);
  EXPECT_TRUE(read->members.empty());
}

TEST(MessageCodecTest, RefusesWhatIsNoMessage) {
  const OperationRow& row = Row(OperationKind::kRegisterModel);
  const std::string whole =
      EncodeRequest(row, {"", "", {{"path", "/p"}, {"config", Sample(Type::kObject)}}});
  size_t refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    refused += DecodeRequest(row, whole.substr(0, size)).ok() ? 0 : 1;
  }
  EXPECT_LT(whole.size() - 5, refused) << "but where a field ends";
  Buffer text;
  AppendString(kNameNumber, "\xff", &text);
  EXPECT_THAT(
      std::string(Message(DecodeRequest(Row(OperationKind::kGetModel), text.view()).status())),
      HasSubstr("UTF-8"));
  EXPECT_THAT(std::string(Message(DecodeRequest(row, text.view()).status())), HasSubstr("UTF-8"));
}

TEST(StructCodecTest, RefusesWhatJsonHasNot) {
  json::object out;
  for (const double number :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    Buffer message;
    AppendStruct({{"x", number}}, &message);
    EXPECT_THAT(std::string(Message(ReadStruct(message.view(), &out))), HasSubstr("not finite"));
  }
  Buffer key;
  AppendStruct({{"\xc3", 1}}, &key);
  EXPECT_THAT(std::string(Message(ReadStruct(key.view(), &out))), HasSubstr("UTF-8"));
}

TEST(StructCodecTest, BoundsHowDeepItGoes) {
  for (const auto& [open, close] : {std::pair("{\"a\":", "}"), std::pair("[", "]")}) {
    const auto nested = [open = open, close = close](int depth) {
      std::string text = R"({"r":)";
      for (int i = 1; i < depth; ++i) text += open;
      text += "0";
      for (int i = 1; i < depth; ++i) text += close;
      Buffer message;
      AppendStruct(ParseJson(text + "}").value().get_object(), &message);
      json::object out;
      return ReadStruct(message.view(), &out);
    };
    EXPECT_TRUE(nested(32).ok());
    EXPECT_THAT(std::string(Message(nested(33))), HasSubstr("too deeply"));
  }
}

TEST(StructCodecTest, WholeNumbersStayWhole) {
  json::object in =
      ParseJson(R"({"a":9007199254740991,"b":-9007199254740991,"c":2.0,"d":0.1,"e":1e300})")
          .value()
          .get_object();
  Buffer message;
  AppendStruct(in, &message);
  json::object out;
  ASSERT_TRUE(ReadStruct(message.view(), &out).ok());
  EXPECT_EQ(R"({"a":9007199254740991,"b":-9007199254740991,"c":2,"d":1E-1,"e":1E300})",
            json::serialize(out));
}

}  // namespace
}  // namespace mlos::operations
