// SPDX-License-Identifier: Apache-2.0
//
// JSON numbers, strings and arrays against the standard library and simdjson.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "frontends/http/json_elements.h"
#include "frontends/http/json_float.h"
#include "frontends/http/json_string.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

using tensor::Datatype;
using testing::HasSubstr;

// As it lies in a request: something behind it that may be read.
std::string Padded(std::string_view text) { return std::string(text) + "]" + std::string(64, '9'); }

template <typename T>
T StandardParse(const char* text) {
  if constexpr (std::is_same_v<T, float>) {
    return std::strtof(text, nullptr);
  } else {
    return std::strtod(text, nullptr);
  }
}

// Bit for bit what the standard library says.
template <typename T>
void ExpectSame(const std::string& text) {
  const std::string padded = Padded(text);
  const char* end = nullptr;
  T value = 42;
  const NumberResult result = ParseFloat(padded.data(), &end, &value);
  const T expected = StandardParse<T>(text.c_str());
  if (std::isinf(expected)) {
    EXPECT_EQ(result, NumberResult::kOutOfRange) << text;
    return;
  }
  ASSERT_EQ(result, NumberResult::kOk) << text;
  EXPECT_EQ(end - padded.data(), static_cast<ptrdiff_t>(text.size())) << text;
  EXPECT_EQ(std::memcmp(&value, &expected, sizeof(T)), 0)
      << text << ": " << value << " is not " << expected;
}

void ExpectSameBoth(const std::string& text) {
  ExpectSame<float>(text);
  ExpectSame<double>(text);
}

TEST(JsonFloat, WellKnownCases) {
  for (const char* text : {"0",
                           "-0",
                           "0.0",
                           "-0.0",
                           "0e5",
                           "0.000000000000000000000000000000",
                           "1",
                           "-1",
                           "1.5",
                           "123456789012345678901234567890",
                           "0.1",
                           "0.30000001192092896",
                           "1e22",
                           "1e23",
                           "-1e-22",
                           "9007199254740992",
                           "9007199254740993",
                           "9007199254740993e1",
                           "16777217",
                           "16777217.0",
                           "16777219",
                           "16777217.0000000000000001",
                           "16777216.9999999999999999",
                           "3.4028234663852886e38",
                           "3.4028235677973365e38",
                           "3.4028235677973366e38",
                           "3.40282357e38",
                           "1e38",
                           "1e39",
                           "-1e39",
                           "1.7976931348623157e308",
                           "1.7976931348623159e308",
                           "1e308",
                           "1e309",
                           "1e999999999999999",
                           "1e-999999999999999",
                           "1.1754943508222875e-38",
                           "1.1754942807573643e-38",
                           "1e-45",
                           "7e-46",
                           "7.006492321624085e-46",
                           "7.006492321624086e-46",
                           "4.9e-324",
                           "2.4e-324",
                           "2.5e-324",
                           "1e-400",
                           "-1e-400",
                           "2.2250738585072011e-308",
                           "2.2250738585072014e-308",
                           "6.631236846766476e-316",
                           "1.00000005960464477539062499",
                           "1.00000005960464477539062500",
                           "1.00000005960464477539062501",
                           "1.000000059604644775390625",
                           "8388608.5",
                           "8388609.5",
                           "18446744073709551615",
                           "18446744073709551616",
                           "9999999999999999999",
                           "99999999999999999999",
                           "1E5",
                           "1E+5",
                           "1e+05",
                           "1.0e-05",
                           "12345678.12345678",
                           "0.00000000000000000000000000000000000001",
                           "100000000000000000000000000000000000000",
                           "1000000000000000000000000000000000000000e-10",
                           "0.0000001234567890123456789e10"}) {
    ExpectSameBoth(text);
  }
}

TEST(JsonFloat, MiddlesBetweenFloats) {
  std::mt19937_64 random(7);
  char text[64];
  for (int i = 0; i < 20000; ++i) {
    // The exact middle of two neighbours, and its neighbours among doubles.
    const auto bits = static_cast<uint32_t>(random() % 0x7f000000);
    const auto low = static_cast<double>(std::bit_cast<float>(bits));
    const auto high = static_cast<double>(std::bit_cast<float>(bits + 1));
    const double middle = low + (high - low) / 2;
    for (const double v : {middle, std::nextafter(middle, 0.0), std::nextafter(middle, 1e300)}) {
      for (const int precision : {9, 15, 16, 17, 18, 20}) {
        std::snprintf(text, sizeof(text), "%.*g", precision, v);
        ExpectSame<float>(text);
      }
    }
  }
}

TEST(JsonFloat, RandomNumbers) {
  std::mt19937_64 random(8);
  char text[400];
  for (int i = 0; i < 100000; ++i) {
    const double d = std::bit_cast<double>(random());
    const float f = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isfinite(d)) {
      std::snprintf(text, sizeof(text), "%.17g", d);
      ExpectSameBoth(text);
    }
    if (std::isfinite(f)) {
      std::snprintf(text, sizeof(text), "%.9g", static_cast<double>(f));
      ExpectSameBoth(text);
      std::snprintf(text, sizeof(text), "%.*f", static_cast<int>(random() % 25),
                    static_cast<double>(f));
      ExpectSameBoth(text);
    }
    std::snprintf(text, sizeof(text), "%llu.%llue%d",
                  static_cast<unsigned long long>(random() >> (random() % 64)),
                  static_cast<unsigned long long>(random() >> (random() % 64)),
                  static_cast<int>(random() % 80) - 40);
    ExpectSameBoth(text);
  }
}

TEST(JsonFloat, Grammar) {
  for (const char* text : {"", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "01", "-01", "00", "e5",
                           "--1", "x", "- 1"}) {
    const std::string padded = std::string(text) + "]";
    const char* end = nullptr;
    float value = 0;
    EXPECT_EQ(ParseFloat((padded + std::string(64, ' ')).data(), &end, &value),
              NumberResult::kMalformed)
        << text;
  }
}

std::string Unescape(const std::string& json, bool* valid) {
  size_t length = 0;
  const char* end = UnescapeString(json.data(), nullptr, &length);
  *valid = end != nullptr;
  if (end == nullptr) return {};
  EXPECT_EQ(end, json.data() + json.size());
  std::string out(length, '\0');
  size_t again = 0;
  EXPECT_EQ(UnescapeString(json.data(), out.data(), &again), end);
  EXPECT_EQ(again, length);
  return out;
}

TEST(JsonString, AgreesWithSimdjson) {
  std::mt19937 random(9);
  const char* const pieces[] = {
      "a",       "\\n",          "\\\"",    "\\\\",           "\\/",
      "\\u0041", "\\u00e9",      "\\u20AC", "\\ud83d\\ude00", "\\ud83d",
      "\\ude00", "\\u12",        "\\x",     "\\u00zz",        "\xc3\xa9",
      "\\u0000", "\\b\\f\\r\\t", " ",       "\\uD800\\u0041", "\\ud800\\n"};
  simdjson::ondemand::parser parser;
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string json = "\"";
    for (uint32_t n = random() % 6; n > 0; --n) json += pieces[random() % std::size(pieces)];
    json += "\"";
    bool valid = false;
    const std::string ours = Unescape(json, &valid);
    const simdjson::padded_string padded("[" + json + "]");
    auto document = parser.iterate(padded);
    std::string_view theirs;
    const bool theirs_valid = document.at(0).get_string().get(theirs) == simdjson::SUCCESS;
    ASSERT_EQ(valid, theirs_valid) << json;
    if (valid) {
      ASSERT_EQ(ours, theirs) << json;
      ++accepted;
    }
  }
  EXPECT_GT(accepted, 1000);
}

// Parses `text` as an array and prints it again.
std::string Through(Datatype datatype, std::string_view text, uint64_t count) {
  const std::string padded = std::string(text) + std::string(64, ' ');
  uint64_t bytes = 0;
  if (datatype == Datatype::kBytes) {
    const Status status = MeasureStrings({padded.data(), text.size()}, count, &bytes);
    if (!status.ok()) return std::string(Message(status));
  } else {
    bytes = count * tensor::ElementSize(datatype);
  }
  std::vector<std::byte> out(bytes);
  const Status status = ParseElements({padded.data(), text.size()}, datatype, count, out);
  if (!status.ok()) return std::string(Message(status));
  Buffer json;
  EXPECT_TRUE(tensor::AppendJsonTensor(datatype, count, out, 1 << 20, &json).ok());
  return std::string(json.view());
}

TEST(JsonElements, WhitespaceAndNesting) {
  EXPECT_EQ(Through(Datatype::kInt32, " \n[ 1 ,\t2\r, [ 3 ] , [] , [[4 ] ] ] ", 4),
            "\"data\" is not valid JSON at element 0");
  EXPECT_EQ(Through(Datatype::kInt32, "[ 1 ,\t2\r, [ 3 ] , [] , [[4 ] ] ] ", 4), "[1,2,3,4]");
  EXPECT_EQ(Through(Datatype::kInt32, "[]", 0), "[]");
  EXPECT_EQ(Through(Datatype::kInt32, "[ ]", 0), "[]");
  EXPECT_EQ(Through(Datatype::kBytes, R"(["a]",[",","[" ]])", 3), R"(["a]",",","["])");
  const std::string deep = std::string(100, '[') + "1" + std::string(100, ']');
  EXPECT_EQ(Through(Datatype::kInt8, deep, 1), "[1]");
  EXPECT_THAT(Through(Datatype::kInt8, "[" + deep + "]", 1), HasSubstr("deeper than 100"));
}

TEST(JsonElements, BrokenArrays) {
  for (const char* text : {"[,]", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[[1,2]", "[1]]", "[1}", "{1]",
                           "[[1}]", "[1]2]", "[1,[2]3]", "[1:2]", "[", "]", "", "[\"a\" \"b\"]"}) {
    const std::string said = Through(Datatype::kInt32, text, 2);
    EXPECT_TRUE(said.find("not valid JSON") != std::string::npos ||
                said.find("element") != std::string::npos)
        << text << ": " << said;
  }
}

TEST(JsonElements, IntegersAtTheirLimits) {
  EXPECT_EQ(Through(Datatype::kInt64, "[-9223372036854775808,9223372036854775807,-0]", 3),
            "[-9223372036854775808,9223372036854775807,0]");
  EXPECT_EQ(Through(Datatype::kUint64, "[18446744073709551615]", 1), "[18446744073709551615]");
  EXPECT_THAT(Through(Datatype::kUint64, "[18446744073709551616]", 1), HasSubstr("from 0 to"));
  EXPECT_THAT(Through(Datatype::kUint64, "[99999999999999999999999999]", 1),
              HasSubstr("from 0 to"));
  EXPECT_THAT(Through(Datatype::kInt64, "[9223372036854775808]", 1),
              HasSubstr("integer from -9223"));
  EXPECT_THAT(Through(Datatype::kInt64, "[-9223372036854775809]", 1), HasSubstr("integer from"));
  EXPECT_THAT(Through(Datatype::kInt8, "[-]", 1), HasSubstr("element 0 is '-' where an integer"));
  EXPECT_THAT(Through(Datatype::kUint8, "[-0]", 1), HasSubstr("element 0 is '-0'"));
}

TEST(JsonText, FloatsReadBackExactly) {
  std::mt19937 random(10);
  for (int i = 0; i < 20000; ++i) {
    const float f = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(f)) continue;
    Buffer out;
    ASSERT_TRUE(
        tensor::AppendJsonTensor(Datatype::kFp32, 1, std::as_bytes(std::span(&f, 1)), 1000, &out)
            .ok());
    const std::string text(out.view());
    EXPECT_NE(text.find_first_of(".e"), std::string::npos) << text;
    const float back = std::strtof(text.c_str() + 1, nullptr);
    EXPECT_EQ(std::memcmp(&back, &f, sizeof(f)), 0) << text;
  }
}

TEST(JsonText, LimitsAndLies) {
  const std::vector<float> values(10000, 0.123456f);
  Buffer out;
  EXPECT_EQ(tensor::AppendJsonTensor(Datatype::kFp32, values.size(),
                                     std::as_bytes(std::span(values)), 5000, &out)
                .code(),
            StatusCode::kResourceExhausted);
  EXPECT_LT(out.size(), 100000u);
  out.Clear();
  EXPECT_EQ(tensor::AppendJsonTensor(Datatype::kFp32, values.size() + 1,
                                     std::as_bytes(std::span(values)), 1 << 20, &out)
                .code(),
            StatusCode::kInternal);
  const char cut[] = {5, 0, 0, 0, 'a'};
  EXPECT_EQ(tensor::AppendJsonTensor(Datatype::kBytes, 1, std::as_bytes(std::span(cut)), 1000, &out)
                .code(),
            StatusCode::kInternal);
  EXPECT_EQ(
      tensor::AppendJsonTensor(Datatype::kBytes, 2, std::as_bytes(std::span(cut, 4)), 1000, &out)
          .code(),
      StatusCode::kInternal);
}

TEST(JsonText, Strings) {
  Buffer out;
  tensor::AppendJsonString(std::string_view("a\"\\\n\r\t\x01\x7f\xc3\xa9\0", 11), &out);
  EXPECT_EQ(out.view(), "\"a\\\"\\\\\\n\\r\\t\\u0001\\u007f\xc3\xa9\\u0000\"");
}

}  // namespace
}  // namespace mlos::http
