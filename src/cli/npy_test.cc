// SPDX-License-Identifier: Apache-2.0
#include "cli/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlos::cli {
namespace {

using tensor::Datatype;
using testing::ElementsAre;
using testing::HasSubstr;

std::string File(const std::string& header, const std::string& data, char major = 1) {
  std::string out = std::string("\x93NUMPY") + major + '\0';
  const size_t size = header.size();
  out += static_cast<char>(size & 0xffU);
  out += static_cast<char>(size >> 8U);
  if (major > 1) out += std::string(2, '\0');
  return out + header + data;
}

std::string Header(const std::string& type, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }   \n";
}

std::string Refusal(const std::string& file) {
  const auto array = ParseNpy(file);
  return array.ok() ? "" : std::string(Message(array.status()));
}

TEST(NpyTest, EveryDatatypeOfTheProtocol) {
  const struct {
    const char* type;
    Datatype datatype;
    size_t size;
  } kTypes[] = {
      {"|b1", Datatype::kBool, 1},   {"|i1", Datatype::kInt8, 1},   {"<i2", Datatype::kInt16, 2},
      {"<i4", Datatype::kInt32, 4},  {"<i8", Datatype::kInt64, 8},  {"|u1", Datatype::kUint8, 1},
      {"<u2", Datatype::kUint16, 2}, {"<u4", Datatype::kUint32, 4}, {"<u8", Datatype::kUint64, 8},
      {"<f2", Datatype::kFp16, 2},   {"<f4", Datatype::kFp32, 4},   {"<f8", Datatype::kFp64, 8},
      {"|V2", Datatype::kBf16, 2},   {"<V2", Datatype::kBf16, 2}};
  for (const auto& type : kTypes) {
    SCOPED_TRACE(type.type);
    std::string data;
    for (size_t i = 0; i < 6 * type.size; ++i) data += static_cast<char>(i % 2);
    for (const char major : {1, 2, 3}) {
      const auto array = ParseNpy(File(Header(type.type, "(2, 3)"), data, major));
      ASSERT_TRUE(array.ok()) << Message(array.status());
      EXPECT_EQ(array->datatype, type.datatype);
      EXPECT_THAT(array->shape, ElementsAre(2, 3));
      EXPECT_EQ(array->data, data);
    }
  }
}

TEST(NpyTest, ShapesAndOrders) {
  EXPECT_THAT(ParseNpy(File(Header("|u1", "()"), "x"))->shape, ElementsAre());
  EXPECT_THAT(ParseNpy(File(Header("|u1", "(3,)"), "xyz"))->shape, ElementsAre(3));
  EXPECT_EQ(ParseNpy(File(Header("|u1", "(0, 4)"), ""))->data, "");
  // Column by column in the file: a c e / b d f.
  EXPECT_EQ(ParseNpy(File(Header("|u1", "(2, 3)", true), "abcdef"))->data, "acebdf");
  EXPECT_EQ(ParseNpy(File(Header("|u1", "(2, 2, 2)", true), "abcdefgh"))->data, "aecgbfdh");
  EXPECT_EQ(ParseNpy(File(Header(">u2", "(2,)"), "abcd"))->data, "badc");
}

TEST(NpyTest, Strings) {
  using namespace std::string_literals;
  const auto bytes = ParseNpy(File(Header("|S3", "(2,)"), "ab\0xyz"s));
  EXPECT_EQ(bytes->datatype, Datatype::kBytes);
  EXPECT_EQ(bytes->data, "\2\0\0\0ab\3\0\0\0xyz"s);
  const auto text = ParseNpy(File(Header("<U2", "(1,)"), "\xe9\0\0\0\0\xf6\1\0"s));
  EXPECT_EQ(text->data, "\6\0\0\0é\U0001f600"s);
  EXPECT_EQ(ParseNpy(File(Header(">U1", "(1,)"), "\0\0\0a"s))->data, "\1\0\0\0a"s);
  EXPECT_THAT(Refusal(File(Header("<U1", "(1,)"), "\0\xd8\0\0"s)), HasSubstr("string"));
  EXPECT_EQ(ParseNpy(File(Header("|S0", "(2,)"), ""))->data, std::string(8, '\0'));
}

TEST(NpyTest, HostileHeadersAreRefused) {
  const auto header = [](const std::string& text) { return Refusal(File(text, "")); };
  EXPECT_THAT(Refusal(""), HasSubstr("begin"));
  EXPECT_THAT(Refusal("\x93NUMPY"), HasSubstr("cut off"));
  EXPECT_THAT(Refusal(File("x", "", 9)), HasSubstr("version 9"));
  EXPECT_THAT(Refusal(File(Header("<f4", "(1,)"), "").substr(0, 30)), HasSubstr("cut off"));
  EXPECT_THAT(Refusal(std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12)), HasSubstr("too long"));
  EXPECT_THAT(header("__import__('os')"), HasSubstr("dict"));
  EXPECT_THAT(header("{'descr': '<f4'}"), HasSubstr("lacks"));
  EXPECT_THAT(header("{'descr': '<f4', 'descr': '<f4'}"), HasSubstr("twice"));
  EXPECT_THAT(header("{'evil': '<f4'}"), HasSubstr("'evil'"));
  EXPECT_THAT(header("{'descr': [('a', '<f4')], "), HasSubstr("records"));
  EXPECT_THAT(header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), HasSubstr("'|O'"));
  EXPECT_THAT(Refusal(File(Header("|O8", "(1,)"), "12345678")), HasSubstr("Python objects"));
  EXPECT_THAT(Refusal(File(Header("<c8", "(1,)"), "12345678")), HasSubstr("'c8'"));
  EXPECT_THAT(Refusal(File(Header("<f4", "(-1,)"), "1234")), HasSubstr("dimension"));
  EXPECT_THAT(Refusal(File(Header("<f4", "(1"), "1234")), HasSubstr("dimension"));
  EXPECT_THAT(Refusal(File(Header("<f4", "(99999999999999999999,)"), "")), HasSubstr("dimension"));
  EXPECT_THAT(Refusal(File(Header("<f8", "(4611686018427387904, 4)"), "")), HasSubstr("too large"));
  EXPECT_THAT(Refusal(File(Header("<f8", "(4611686018427387904,)"), "")), HasSubstr("too large"));
  EXPECT_THAT(Refusal(File(Header("|S0", "(4611686018427387904,)"), "")), HasSubstr("elements"));
  EXPECT_THAT(Refusal(File(Header("|S99999999", "(1,)"), "")), HasSubstr("too large"));
  EXPECT_THAT(Refusal(File(Header("<f4", "(2,)"), "1234")), HasSubstr("takes 8 bytes"));
  EXPECT_THAT(Refusal(File(Header("<f4", "(1,)"), "12345")), HasSubstr("there are 5"));
  EXPECT_THAT(Refusal(File(Header("|b1", "(1,)"), "\2")), HasSubstr("bool"));
  EXPECT_THAT(Refusal(File(Header("<f4", "(1,)") + "more", "1234")), HasSubstr("follows"));
  std::string deep = "(";
  for (int i = 0; i < 40; ++i) deep += "1, ";
  EXPECT_THAT(Refusal(File(Header("<f4", deep + ")"), "1234")), HasSubstr("dimensions"));
}

}  // namespace
}  // namespace mlos::cli
