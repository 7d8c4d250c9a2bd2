// SPDX-License-Identifier: Apache-2.0
#include "tensor/datatype.h"

#include "tensor/bytes_checker.h"

namespace mlos::tensor {
namespace {

struct Row {
  Datatype datatype;
  std::string_view name;
  uint32_t size;
};

constexpr Row kRows[] = {
    {Datatype::kFp32, "FP32", 4},     {Datatype::kInt64, "INT64", 8},
    {Datatype::kBytes, "BYTES", 0},   {Datatype::kInt32, "INT32", 4},
    {Datatype::kFp16, "FP16", 2},     {Datatype::kUint8, "UINT8", 1},
    {Datatype::kBool, "BOOL", 1},     {Datatype::kFp64, "FP64", 8},
    {Datatype::kBf16, "BF16", 2},     {Datatype::kInt8, "INT8", 1},
    {Datatype::kInt16, "INT16", 2},   {Datatype::kUint16, "UINT16", 2},
    {Datatype::kUint32, "UINT32", 4}, {Datatype::kUint64, "UINT64", 8},
};

const Row* Find(Datatype datatype) {
  for (const Row& row : kRows) {
    if (row.datatype == datatype) return &row;
  }
  return nullptr;
}

}  // namespace

uint32_t ElementSize(Datatype datatype) {
  const Row* row = Find(datatype);
  return row != nullptr ? row->size : 0;
}

bool IsKnown(Datatype datatype) { return Find(datatype) != nullptr; }

std::string_view DatatypeName(Datatype datatype) {
  const Row* row = Find(datatype);
  return row != nullptr ? row->name : "INVALID";
}

Datatype ParseDatatype(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.datatype;
  }
  return Datatype::kInvalid;
}

bool ElementCount(std::span<const int64_t> dims, uint64_t* count) {
  if (dims.size() > kMaxRank) return false;
  bool zero = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return false;
    zero |= dim == 0;
  }
  // A zero dimension empties the tensor, however large the others are.
  if (zero) {
    *count = 0;
    return true;
  }
  int64_t product = 1;
  for (const int64_t dim : dims) {
    if (__builtin_mul_overflow(product, dim, &product)) return false;
  }
  *count = static_cast<uint64_t>(product);
  return true;
}

bool ByteSize(Datatype datatype, std::span<const int64_t> dims, uint64_t* bytes) {
  const uint32_t size = ElementSize(datatype);
  uint64_t count = 0;
  if (size == 0 || !ElementCount(dims, &count)) return false;
  int64_t product = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(count), static_cast<int64_t>(size), &product)) {
    return false;
  }
  *bytes = static_cast<uint64_t>(product);
  return true;
}

bool Matches(std::span<const int64_t> declared, std::span<const int64_t> dims) {
  if (declared.size() != dims.size()) return false;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (declared[i] != -1 && declared[i] != dims[i]) return false;
  }
  return true;
}

std::string ShapeText(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(dims[i]);
  }
  text += ']';
  return text;
}

Status CheckBytesTensor(std::span<const std::byte> data, uint64_t count) {
  BytesChecker checker(count, data.size());
  MLOS_RETURN_IF_ERROR(checker.Take(data));
  return checker.End();
}

}  // namespace mlos::tensor
