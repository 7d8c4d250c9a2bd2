// SPDX-License-Identifier: Apache-2.0
//
// Typed contents: elements as numbers of the message, each in the list that its
// datatype has.  They are read where they lie, an InferTensorContents as it
// came, and in slices: what may be 64 MB of numbers is more than an event loop
// looks at in one go.
//
//   Begin -> Measure ... -> Rewind -> Write ...
//
// One per inference, reused.  One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/protobuf_reader.h"
#include "base/status.h"
#include "tensor/datatype.h"

namespace mlos::grpc {

// What is done in one go, in bytes of numbers: about a millisecond.
constexpr uint64_t kWorkSlice = 128 << 10;

// Bytes that are only copied take less of it.
constexpr uint64_t WorkOfCopy(uint64_t bytes) { return (bytes + 7) / 8; }
constexpr uint64_t CopyOfWork(uint64_t work) { return work * 8; }
inline void Spend(uint64_t work, uint64_t* budget) { *budget -= work < *budget ? work : *budget; }

class ContentsReader {
 public:
  // They stay while they are read.  INVALID_ARGUMENT: no typed form.
  Status Begin(std::string_view contents, tensor::Datatype datatype, uint64_t count);

  // Checks that there are `count` elements in the list of `datatype` and
  // nothing in others.  True when that is done: then `bytes()` is what they
  // take as a tensor.  False: `*budget` is used up.
  StatusOr<bool> Measure(uint64_t* budget);
  uint64_t bytes() const { return bytes_; }

  // Now they are written to `to`, which has room for exactly what was measured.
  void Rewind(std::span<std::byte> to);
  StatusOr<bool> Write(uint64_t* budget);

 private:
  Status Count(const WireField& field);
  Status WriteSome(uint64_t* budget);

  std::string_view contents_;
  tensor::Datatype datatype_ = tensor::Datatype::kInvalid;
  uint32_t list_ = 0;  // of the datatype
  uint64_t count_ = 0;
  FieldReader reader_{{}};
  std::string_view rest_;  // of the field that is read
  uint64_t found_ = 0;
  uint64_t bytes_ = 0;
  std::span<std::byte> to_;  // what is not written yet
};

}  // namespace mlos::grpc
