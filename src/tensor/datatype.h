// SPDX-License-Identifier: Apache-2.0
//
// Element types under their protocol names, and checked arithmetic on shapes.
// Values only; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos::tensor {

// Same numbers as smi_datatype (a test holds them together).
enum class Datatype : uint32_t {
  kInvalid = 0,
  kInt8 = 0x0008,
  kInt16 = 0x0010,
  kInt32 = 0x0020,
  kInt64 = 0x0040,
  kUint8 = 0x0108,
  kUint16 = 0x0110,
  kUint32 = 0x0120,
  kUint64 = 0x0140,
  kFp16 = 0x0210,
  kFp32 = 0x0220,
  kFp64 = 0x0240,
  kBf16 = 0x0410,
  kBool = 0x0608,
  kBytes = 0x0300,
};

constexpr uint32_t kMaxRank = 16;

// Bytes of one element; 0 for BYTES (variable) and for a number that names no
// datatype.
uint32_t ElementSize(Datatype datatype);
bool IsKnown(Datatype datatype);
// "FP32", "BYTES", …; "INVALID" for anything unknown.
std::string_view DatatypeName(Datatype datatype);
// kInvalid if `name` is not a datatype of the protocol (names are upper case).
Datatype ParseDatatype(std::string_view name);

// Product of `dims`; false on a negative dimension, on a rank above kMaxRank
// and when the product does not fit 63 bits.  A rank of 0 gives 1, a zero
// dimension gives 0.
bool ElementCount(std::span<const int64_t> dims, uint64_t* count);

// ElementCount × ElementSize, checked.  BYTES: false.
bool ByteSize(Datatype datatype, std::span<const int64_t> dims, uint64_t* bytes);

// True when `dims` has the rank of `declared` and agrees where that is not -1.
bool Matches(std::span<const int64_t> declared, std::span<const int64_t> dims);

// "[-1,3,224,224]"
std::string ShapeText(std::span<const int64_t> dims);

// Walks BYTES in their encoded form (per element a 4-byte little-endian length
// and that many bytes).  INVALID_ARGUMENT, saying which element, when a prefix
// or an element is cut off or when there are not exactly `count` elements.
Status CheckBytesTensor(std::span<const std::byte> data, uint64_t count);

}  // namespace mlos::tensor
