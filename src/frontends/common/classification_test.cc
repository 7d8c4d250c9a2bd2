// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/classification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

namespace mlos::frontend {
namespace {

using tensor::Datatype;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
constexpr Datatype kDatatype = std::is_floating_point_v<T>
                                   ? (sizeof(T) == 4 ? Datatype::kFp32 : Datatype::kFp64)
                                   : static_cast<Datatype>((std::is_signed_v<T> ? 0 : 0x100) +
                                                           sizeof(T) * 8);

struct Answer {
  Status status;
  std::vector<int64_t> shape;
  std::vector<std::string> elements;
};

template <typename T>
Answer Classified(const std::vector<T>& values, const std::vector<int64_t>& shape, bool batches,
                  uint64_t classes, const std::vector<std::string>& labels = {}) {
  engine::OutputTensor output;
  output.desc.index = 3;
  output.desc.datatype = static_cast<uint32_t>(kDatatype<T>);
  output.desc.rank = static_cast<uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), output.desc.dims);
  output.data = std::as_bytes(std::span(values));
  Classifier classifier;
  std::string bytes = "what was there";
  tensor::TensorDesc desc;
  Answer answer;
  answer.status = classifier.Classify(output, batches, classes, labels, &bytes, &desc);
  if (!answer.status.ok()) return answer;
  EXPECT_EQ(desc.index, 3u);
  EXPECT_EQ(desc.bytes, bytes.size());
  EXPECT_EQ(desc.datatype, static_cast<uint32_t>(Datatype::kBytes));
  answer.shape.assign(desc.dims, desc.dims + desc.rank);
  uint64_t count = 0;
  EXPECT_TRUE(tensor::ElementCount(desc.shape(), &count));
  EXPECT_TRUE(tensor::CheckBytesTensor(std::as_bytes(std::span(bytes)), count).ok());
  for (size_t at = 0; at < bytes.size();) {
    uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at, sizeof(length));
    answer.elements.push_back(bytes.substr(at + sizeof(length), length));
    at += sizeof(length) + length;
  }
  return answer;
}

TEST(Classification, TheGreatestComeFirst) {
  const std::vector<float> values{0.25F, -1, 0.913F, 2e-7F};
  const Answer two = Classified(values, {4}, false, 2);
  EXPECT_THAT(two.elements, ElementsAre("0.913000:2", "0.250000:0"));
  EXPECT_THAT(two.shape, ElementsAre(2));
  const Answer all = Classified(values, {2, 2}, false, 100);
  EXPECT_THAT(all.elements, ElementsAre("0.913000:2", "0.250000:0", "0.000000:3", "-1.000000:1"));
  EXPECT_THAT(all.shape, ElementsAre(4));
}

TEST(Classification, LabelsWhereThereAreSome) {
  const std::vector<float> values{1, 4, 3, 2};
  EXPECT_THAT(Classified(values, {4}, false, 4, {"a", "", "c: d"}).elements,
              ElementsAre("4.000000:1", "3.000000:2:c: d", "2.000000:3", "1.000000:0:a"));
}

TEST(Classification, EachRowOfABatch) {
  const std::vector<double> values{1, 2, 3, 6, 5, 4};
  const Answer answer = Classified(values, {2, 3}, true, 1, {"x", "y", "z"});
  EXPECT_THAT(answer.elements, ElementsAre("3.000000:2:z", "6.000000:0:x"));
  EXPECT_THAT(answer.shape, ElementsAre(2, 1));
  EXPECT_THAT(Classified(values, {1, 2, 3}, true, 2).shape, ElementsAre(1, 2));
  EXPECT_THAT(Classified(values, {6}, true, 5).elements,
              ElementsAre("1.000000:0", "2.000000:0", "3.000000:0", "6.000000:0", "5.000000:0",
                          "4.000000:0"));
}

TEST(Classification, OrderIsTotal) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(
      Classified(std::vector<float>{nan, 1, -infinity, 1, nan, infinity}, {6}, false, 6).elements,
      ElementsAre("inf:5", "1.000000:1", "1.000000:3", "-inf:2", testing::EndsWith(":0"),
                  testing::EndsWith(":4")));
}

TEST(Classification, IntegersKeepTheirDigits) {
  EXPECT_THAT(
      Classified(std::vector<int64_t>{std::numeric_limits<int64_t>::min(),
                                      std::numeric_limits<int64_t>::max() - 1,
                                      std::numeric_limits<int64_t>::max()},
                 {3}, false, 3)
          .elements,
      ElementsAre("9223372036854775807:2", "9223372036854775806:1", "-9223372036854775808:0"));
  EXPECT_THAT(Classified(std::vector<uint64_t>{1, ~uint64_t{0}}, {2}, false, 1).elements,
              ElementsAre("18446744073709551615:1"));
  EXPECT_THAT(Classified(std::vector<int8_t>{-128, 127}, {2}, false, 2).elements,
              ElementsAre("127:1", "-128:0"));
  EXPECT_THAT(Classified(std::vector<uint8_t>{7, 255}, {2}, false, 1).elements,
              ElementsAre("255:1"));
  EXPECT_THAT(Classified(std::vector<int16_t>{-3, -2}, {2}, false, 1).elements,
              ElementsAre("-2:1"));
  EXPECT_THAT(Classified(std::vector<uint16_t>{3, 2}, {2}, false, 1).elements, ElementsAre("3:0"));
  EXPECT_THAT(Classified(std::vector<int32_t>{3, 2}, {2}, false, 1).elements, ElementsAre("3:0"));
  EXPECT_THAT(Classified(std::vector<uint32_t>{3, 9}, {2}, false, 1).elements, ElementsAre("9:1"));
  const std::string largest =
      Classified(std::vector<double>{-std::numeric_limits<double>::max()}, {1}, false, 1)
          .elements.at(0);
  EXPECT_EQ(largest.size(), 1u + 309 + 7 + 2) << largest;
}

TEST(Classification, NothingAndScalars) {
  EXPECT_THAT(Classified(std::vector<float>{}, {0}, false, 5).shape, ElementsAre(0));
  EXPECT_THAT(Classified(std::vector<float>{}, {0, 10}, true, 5).shape, ElementsAre(0, 5));
  EXPECT_THAT(Classified(std::vector<float>{}, {4, 0}, true, 5).shape, ElementsAre(4, 0));
  EXPECT_THAT(Classified(std::vector<float>{2}, {}, true, 5).elements, ElementsAre("2.000000:0"));
}

TEST(Classification, Limits) {
  const std::vector<uint8_t> million(1'000'001, 1);
  const auto refused = [](const Answer& answer) {
    EXPECT_EQ(answer.status.code(), StatusCode::kInvalidArgument);
    return std::string(Message(answer.status));
  };
  EXPECT_TRUE(Classified(million, {1'000'000}, false, 3).status.ok());
  EXPECT_THAT(refused(Classified(million, {1'000'001}, false, 3)), HasSubstr("at most 1000000"));
  EXPECT_TRUE(Classified(million, {65'536}, false, 1'000'000).status.ok());
  EXPECT_THAT(refused(Classified(million, {65'537}, false, ~uint64_t{0})), HasSubstr("65537"));
  EXPECT_THAT(refused(Classified(million, {1000, 100}, true, 66)), HasSubstr("fewer classes"));
  // Sizes that only a liar gives.
  EXPECT_EQ(Classified(million, {1'000'000'000}, false, 3).status.code(), StatusCode::kInternal);
  EXPECT_EQ(Classified(million, {0, 1 << 30}, true, 3).status.code(), StatusCode::kInvalidArgument);
}

TEST(Classification, DatatypesWithoutIt) {
  for (const Datatype datatype :
       {Datatype::kFp16, Datatype::kBf16, Datatype::kBytes, Datatype::kBool}) {
    const Status status = CheckClassifiable({"y", datatype, {-1}, false});
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(Message(status)), HasSubstr(tensor::DatatypeName(datatype)));
  }
  EXPECT_TRUE(CheckClassifiable({"y", Datatype::kFp32, {-1}, false}).ok());
}

}  // namespace
}  // namespace mlos::frontend
