// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_contents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "proto/inference.pb.h"

namespace mlos::grpc {
namespace {

using inference::InferTensorContents;
using tensor::Datatype;
using testing::HasSubstr;

struct Read {
  Status status;
  std::string tensor;
  int slices = 0;
};

// In slices of `slice` each.
Read ReadAll(const std::string& contents, Datatype datatype, uint64_t count, uint64_t slice) {
  ContentsReader reader;
  Read read;
  read.status = reader.Begin(contents, datatype, count);
  if (!read.status.ok()) return read;
  const auto until_done = [&](auto step) {
    for (;;) {
      uint64_t budget = slice;
      ++read.slices;
      const StatusOr<bool> done = step(&budget);
      read.status = done.status();
      if (!done.ok() || *done) return done.ok();
    }
  };
  if (!until_done([&](uint64_t* budget) { return reader.Measure(budget); })) return read;
  read.tensor.assign(reader.bytes(), '\x55');
  reader.Rewind(std::as_writable_bytes(std::span(read.tensor)));
  until_done([&](uint64_t* budget) { return reader.Write(budget); });
  return read;
}

// What is read does not depend on where it is interrupted.
void ExpectSame(const InferTensorContents& contents, Datatype datatype, uint64_t count,
                const std::string& tensor) {
  const std::string bytes = contents.SerializeAsString();
  for (const uint64_t slice : {1, 2, 7, 64, 1 << 20}) {
    const Read read = ReadAll(bytes, datatype, count, slice);
    EXPECT_TRUE(read.status.ok()) << read.status;
    EXPECT_TRUE(read.tensor == tensor) << tensor::DatatypeName(datatype) << " " << slice;
  }
}

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(ContentsReader, ReadsTheSameInWhateverSlices) {
  InferTensorContents ints;
  std::vector<int32_t> int_values;
  InferTensorContents floats;
  std::vector<float> float_values;
  InferTensorContents strings;
  std::string string_values;
  for (int i = 0; i < 1000; ++i) {
    int_values.push_back(i * i * (i % 2 == 0 ? 1 : -1));
    ints.add_int_contents(int_values.back());
    float_values.push_back(static_cast<float>(i) / 3);
    floats.add_fp32_contents(float_values.back());
    const std::string text(static_cast<size_t>(i % 5), 'x');
    strings.add_bytes_contents(text);
    string_values += BytesOf(std::vector<uint32_t>{static_cast<uint32_t>(text.size())}) + text;
  }
  ExpectSame(ints, Datatype::kInt32, 1000, BytesOf(int_values));
  ExpectSame(floats, Datatype::kFp32, 1000, BytesOf(float_values));
  ExpectSame(strings, Datatype::kBytes, 1000, string_values);
  ExpectSame({}, Datatype::kFp64, 0, "");
}

TEST(ContentsReader, DoesNotDoMoreInOneGoThanItMay) {
  InferTensorContents numbers;
  for (int i = 0; i < 1'000'000; ++i) numbers.add_uint_contents(7);
  const Read read = ReadAll(numbers.SerializeAsString(), Datatype::kUint8, 1'000'000, kWorkSlice);
  EXPECT_GT(read.slices, 7);  // for writing alone
  InferTensorContents strings;
  for (int i = 0; i < 100'000; ++i) strings.add_bytes_contents("");
  const Read empty = ReadAll(strings.SerializeAsString(), Datatype::kBytes, 100'000, kWorkSlice);
  EXPECT_GT(empty.slices, 10);  // that they are empty makes them no less work
  EXPECT_EQ(400'000u, empty.tensor.size());
  InferTensorContents one;
  one.add_bytes_contents(std::string(8 << 20, 'x'));
  EXPECT_GT(ReadAll(one.SerializeAsString(), Datatype::kBytes, 1, kWorkSlice).slices, 5);
}

TEST(ContentsReader, SaysWhatIsWrongWhereverItIsInterrupted) {
  InferTensorContents good;
  for (const int value : {1, 300, 3}) good.add_int_contents(value);
  InferTensorContents other = good;
  other.add_fp32_contents(1);
  const std::string bytes = good.SerializeAsString();
  for (const uint64_t slice : {1, 1 << 20}) {
    const auto text = [&](const std::string& contents, Datatype datatype, uint64_t count) {
      return std::string(Message(ReadAll(contents, datatype, count, slice).status));
    };
    EXPECT_THAT(text(bytes, Datatype::kInt32, 4), HasSubstr("there are 3 elements"));
    EXPECT_THAT(text(bytes, Datatype::kInt8, 3), HasSubstr("300"));
    EXPECT_THAT(text(bytes, Datatype::kUint8, 3), HasSubstr("their place is uint_contents"));
    EXPECT_THAT(text(other.SerializeAsString(), Datatype::kInt32, 3), HasSubstr("fp32_contents"));
    EXPECT_THAT(text(bytes, Datatype::kFp16, 3), HasSubstr("no typed form"));
    EXPECT_THAT(text(bytes.substr(0, bytes.size() - 1), Datatype::kInt32, 3), HasSubstr("damaged"));
    // A number that goes on behind the end of its list.
    EXPECT_THAT(text(std::string("\x12\x01\x80", 3), Datatype::kInt32, 1), HasSubstr("damaged"));
    // One of more bytes than a number has.
    EXPECT_THAT(text("\x12\x0b" + std::string(10, '\x80') + "\x01", Datatype::kInt32, 1),
                HasSubstr("damaged"));
  }
}

}  // namespace
}  // namespace mlos::grpc
