// SPDX-License-Identifier: Apache-2.0
#include "tensor/datatype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "mlos/smi.h"

namespace mlos::tensor {
namespace {

struct Known {
  Datatype datatype;
  smi_datatype smi;
  const char* name;
  uint32_t size;
};

constexpr Known kAll[] = {
    {Datatype::kInt8, SMI_INT8, "INT8", 1},       {Datatype::kInt16, SMI_INT16, "INT16", 2},
    {Datatype::kInt32, SMI_INT32, "INT32", 4},    {Datatype::kInt64, SMI_INT64, "INT64", 8},
    {Datatype::kUint8, SMI_UINT8, "UINT8", 1},    {Datatype::kUint16, SMI_UINT16, "UINT16", 2},
    {Datatype::kUint32, SMI_UINT32, "UINT32", 4}, {Datatype::kUint64, SMI_UINT64, "UINT64", 8},
    {Datatype::kFp16, SMI_FP16, "FP16", 2},       {Datatype::kFp32, SMI_FP32, "FP32", 4},
    {Datatype::kFp64, SMI_FP64, "FP64", 8},       {Datatype::kBf16, SMI_BF16, "BF16", 2},
    {Datatype::kBool, SMI_BOOL, "BOOL", 1},       {Datatype::kBytes, SMI_BYTES, "BYTES", 0},
};

TEST(Datatype, TableIsCompleteAndHasTheNumbersOfSmi) {
  static_assert(std::size(kAll) == 14, "the protocol has fourteen datatypes");
  static_assert(kMaxRank == SMI_MAX_RANK);
  EXPECT_EQ(static_cast<uint32_t>(Datatype::kInvalid), static_cast<uint32_t>(SMI_INVALID));
  for (const Known& k : kAll) {
    EXPECT_EQ(static_cast<uint32_t>(k.datatype), k.smi) << k.name;
    EXPECT_TRUE(IsKnown(k.datatype)) << k.name;
    EXPECT_EQ(DatatypeName(k.datatype), k.name);
    EXPECT_EQ(ParseDatatype(k.name), k.datatype) << k.name;
    EXPECT_EQ(ElementSize(k.datatype), k.size) << k.name;
  }
}

TEST(Datatype, RefusesWhatIsNone) {
  for (const char* name : {"", "fp32", "FP32 ", "INVALID", "STRING", "TYPE_FP32", "FP8"}) {
    EXPECT_EQ(ParseDatatype(name), Datatype::kInvalid) << name;
  }
  EXPECT_FALSE(IsKnown(Datatype::kInvalid));
  EXPECT_FALSE(IsKnown(static_cast<Datatype>(0x1234)));
  EXPECT_EQ(DatatypeName(static_cast<Datatype>(7)), "INVALID");
  EXPECT_EQ(ElementSize(static_cast<Datatype>(7)), 0u);
}

TEST(Shape, CountsElements) {
  const auto count = [](std::vector<int64_t> dims) -> int64_t {
    uint64_t n = 0;
    return ElementCount(dims, &n) ? static_cast<int64_t>(n) : -1;
  };
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(count({}), 1);
  EXPECT_EQ(count({3, 224, 224}), 150528);
  EXPECT_EQ(count({5, 0, 7}), 0);
  EXPECT_EQ(count({kMax}), kMax);
  EXPECT_EQ(count({kMax, 0}), 0);
  EXPECT_EQ(count({kMax, 2}), -1);
  EXPECT_EQ(count({1LL << 32, 1LL << 31}), -1);
  EXPECT_EQ(count({-1}), -1);
  EXPECT_EQ(count({0, -1}), -1);
  EXPECT_EQ(count({std::numeric_limits<int64_t>::min()}), -1);
  EXPECT_EQ(count(std::vector<int64_t>(kMaxRank, 1)), 1);
  EXPECT_EQ(count(std::vector<int64_t>(kMaxRank + 1, 1)), -1);
}

TEST(Shape, CountsBytes) {
  uint64_t bytes = 0;
  const int64_t image[] = {1, 3, 224, 224};
  EXPECT_TRUE(ByteSize(Datatype::kFp32, image, &bytes));
  EXPECT_EQ(bytes, 602112u);
  EXPECT_FALSE(ByteSize(Datatype::kBytes, image, &bytes));
  EXPECT_FALSE(ByteSize(Datatype::kInvalid, image, &bytes));
  const int64_t big[] = {1LL << 61};
  EXPECT_TRUE(ByteSize(Datatype::kFp16, big, &bytes));
  EXPECT_FALSE(ByteSize(Datatype::kFp32, big, &bytes));
}

TEST(Shape, MatchesAndPrints) {
  const int64_t declared[] = {-1, 3, 8};
  EXPECT_TRUE(Matches(declared, std::vector<int64_t>{1, 3, 8}));
  EXPECT_TRUE(Matches(declared, std::vector<int64_t>{0, 3, 8}));
  EXPECT_FALSE(Matches(declared, std::vector<int64_t>{1, 3, 9}));
  EXPECT_FALSE(Matches(declared, std::vector<int64_t>{1, 3}));
  EXPECT_TRUE(Matches({}, {}));
  EXPECT_EQ(ShapeText(declared), "[-1,3,8]");
  EXPECT_EQ(ShapeText({}), "[]");
}

std::vector<std::byte> Encode(const std::vector<std::string>& elements) {
  std::vector<std::byte> out;
  for (const std::string& e : elements) {
    const auto n = static_cast<uint32_t>(e.size());
    const size_t at = out.size();
    out.resize(at + 4 + n);
    std::memcpy(out.data() + at, &n, 4);
    std::memcpy(out.data() + at + 4, e.data(), n);
  }
  return out;
}

TEST(BytesTensor, AcceptsWhatIsWellFormed) {
  EXPECT_TRUE(CheckBytesTensor({}, 0).ok());
  EXPECT_TRUE(CheckBytesTensor(Encode({""}), 1).ok());
  EXPECT_TRUE(CheckBytesTensor(Encode({"a", "", "ccc"}), 3).ok());
}

TEST(BytesTensor, NamesTheElementThatIsWrong) {
  auto data = Encode({"a", "bb"});
  EXPECT_THAT(std::string(Message(CheckBytesTensor(data, 1))),
              testing::HasSubstr("6 bytes are left over"));
  EXPECT_THAT(std::string(Message(CheckBytesTensor(data, 3))),
              testing::HasSubstr("element 2 of 3"));
  data.pop_back();
  EXPECT_THAT(std::string(Message(CheckBytesTensor(data, 2))),
              testing::HasSubstr("element 1 of 2: its length is 2 bytes but only 1"));
  data.resize(7);
  EXPECT_THAT(std::string(Message(CheckBytesTensor(data, 2))),
              testing::HasSubstr("inside its 4-byte length"));
  const std::vector<std::byte> huge(4, std::byte{0xff});
  EXPECT_FALSE(CheckBytesTensor(huge, 1).ok());
  EXPECT_FALSE(CheckBytesTensor({}, std::numeric_limits<uint64_t>::max()).ok());
}

}  // namespace
}  // namespace mlos::tensor
