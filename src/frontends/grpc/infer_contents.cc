// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_contents.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

namespace mlos::grpc {
namespace {

using tensor::Datatype;

// The lists of the message by their numbers (proto/inference.proto).
enum List : uint32_t {
  kNone = 0,
  kBools = 1,
  kInts = 2,
  kInt64s = 3,
  kUints = 4,
  kUint64s = 5,
  kFp32s = 6,
  kFp64s = 7,
  kStrings = 8,
};
constexpr std::string_view kNames[] = {"",
                                       "bool_contents",
                                       "int_contents",
                                       "int64_contents",
                                       "uint_contents",
                                       "uint64_contents",
                                       "fp32_contents",
                                       "fp64_contents",
                                       "bytes_contents"};

// Which of them a datatype uses.
List ListOf(Datatype datatype) {
  switch (datatype) {
    case Datatype::kBool:
      return kBools;
    case Datatype::kInt8:
    case Datatype::kInt16:
    case Datatype::kInt32:
      return kInts;
    case Datatype::kInt64:
      return kInt64s;
    case Datatype::kUint8:
    case Datatype::kUint16:
    case Datatype::kUint32:
      return kUints;
    case Datatype::kUint64:
      return kUint64s;
    case Datatype::kFp32:
      return kFp32s;
    case Datatype::kFp64:
      return kFp64s;
    case Datatype::kBytes:
      return kStrings;
    case Datatype::kFp16:
    case Datatype::kBf16:
    case Datatype::kInvalid:
      break;
  }
  return kNone;
}

// How one element of a list is written where it stands by itself.
WireType SingleType(uint32_t list) {
  return list == kFp32s     ? WireType::kFixed32
         : list == kFp64s   ? WireType::kFixed64
         : list == kStrings ? WireType::kBytes
                            : WireType::kVarint;
}

std::string Name(Datatype datatype) { return std::string(tensor::DatatypeName(datatype)); }

// A field takes as long as some bytes.
constexpr uint64_t kWorkOfField = 8;
constexpr size_t kCopiedAtOnce = 64 << 10;

Status Damaged() { return InvalidArgument("the contents are damaged"); }

// Of numbers of fixed size in one field; 0: they have none.
size_t WidthOf(uint32_t list) { return list == kFp32s ? 4 : list == kFp64s ? 8 : 0; }

// Bytes that end a number.
uint64_t CountEnds(std::string_view packed) {
  return static_cast<uint64_t>(std::count_if(
      packed.begin(), packed.end(), [](char c) { return (static_cast<uint8_t>(c) & 0x80) == 0; }));
}

bool Append(std::string_view data, std::span<std::byte>* to) {
  if (data.size() > to->size()) return false;
  if (!data.empty()) std::memcpy(to->data(), data.data(), data.size());
  *to = to->subspan(data.size());
  return true;
}

template <typename T>
bool AppendValue(const T& value, std::span<std::byte>* to) {
  return Append({reinterpret_cast<const char*>(&value), sizeof value}, to);
}

// How a number of the tensor (To) stands in its list (Wire).
template <typename To, typename Wire>
struct Number {};

template <typename F>
Status WithNumber(Datatype datatype, F f) {
  switch (datatype) {
    case Datatype::kBool:
      return f(Number<uint8_t, bool>());
    case Datatype::kInt8:
      return f(Number<int8_t, int32_t>());
    case Datatype::kInt16:
      return f(Number<int16_t, int32_t>());
    case Datatype::kInt32:
      return f(Number<int32_t, int32_t>());
    case Datatype::kInt64:
      return f(Number<int64_t, int64_t>());
    case Datatype::kUint8:
      return f(Number<uint8_t, uint32_t>());
    case Datatype::kUint16:
      return f(Number<uint16_t, uint32_t>());
    case Datatype::kUint32:
      return f(Number<uint32_t, uint32_t>());
    case Datatype::kUint64:
      return f(Number<uint64_t, uint64_t>());
    default:
      return Internal("a datatype whose elements are no whole numbers");
  }
}

// One number, as many bits of it as its list has.
template <typename To, typename Wire>
Status WriteNumber(uint64_t number, Datatype datatype, std::span<std::byte>* to) {
  Wire value;
  if constexpr (std::is_same_v<Wire, bool>) {
    value = number != 0;
  } else {
    value = static_cast<Wire>(number);
    if (value < static_cast<Wire>(std::numeric_limits<To>::min()) ||
        value > static_cast<Wire>(std::numeric_limits<To>::max())) {
      return InvalidArgument("there is an element " + std::to_string(value) + ", which no " +
                             Name(datatype) + " can hold");
    }
  }
  return AppendValue(static_cast<To>(value), to) ? OkStatus() : Damaged();
}

// About `budget` bytes of numbers.
template <typename To, typename Wire>
Status WritePacked(std::string_view* packed, uint64_t budget, Datatype datatype,
                   std::span<std::byte>* to) {
  const size_t left = packed->size() - std::min<uint64_t>(budget, packed->size());
  while (packed->size() > left) {
    uint64_t number = 0;
    if (!ReadVarint(packed, &number)) return Damaged();
    MLOS_RETURN_IF_ERROR((WriteNumber<To, Wire>(number, datatype, to)));
  }
  return OkStatus();
}

}  // namespace

Status ContentsReader::Begin(std::string_view contents, Datatype datatype, uint64_t count) {
  list_ = ListOf(datatype);
  if (list_ == kNone) {
    return InvalidArgument(Name(datatype) + " has no typed form: send it in raw_input_contents");
  }
  contents_ = contents;
  datatype_ = datatype;
  count_ = count;
  found_ = bytes_ = 0;
  Rewind({});
  return OkStatus();
}

void ContentsReader::Rewind(std::span<std::byte> to) {
  reader_ = FieldReader(contents_);
  rest_ = {};
  to_ = to;
}

// Elements of one field of the list; those of packed numbers are counted in
// rest_.
Status ContentsReader::Count(const WireField& field) {
  if (field.type != WireType::kBytes) {
    ++found_;
    return field.type == SingleType(list_) ? OkStatus() : Damaged();
  }
  if (list_ == kStrings) {
    ++found_;
    bytes_ += sizeof(uint32_t) + field.bytes.size();
    return OkStatus();
  }
  if (const size_t width = WidthOf(list_); width > 0) {
    found_ += field.bytes.size() / width;
    return field.bytes.size() % width == 0 ? OkStatus() : Damaged();
  }
  const bool cut_off =
      !field.bytes.empty() && (static_cast<uint8_t>(field.bytes.back()) & 0x80) != 0;
  rest_ = field.bytes;
  return cut_off ? Damaged() : OkStatus();
}

StatusOr<bool> ContentsReader::Measure(uint64_t* budget) {
  WireField field;
  while (*budget > 0) {
    if (!rest_.empty()) {
      const std::string_view part = rest_.substr(0, kCopiedAtOnce);
      found_ += CountEnds(part);
      rest_.remove_prefix(part.size());
      Spend(WorkOfCopy(part.size()), budget);
      continue;
    }
    if (!reader_.Next(&field)) break;
    Spend(kWorkOfField, budget);
    if (field.number > kStrings) continue;  // of a later version of the protocol
    if (field.number == list_) {
      MLOS_RETURN_IF_ERROR(Count(field));
    } else if (field.type != WireType::kBytes || !field.bytes.empty() || field.number == kStrings) {
      return InvalidArgument("the elements of " + Name(datatype_) + " are in " +
                             std::string(kNames[field.number]) + ", their place is " +
                             std::string(kNames[list_]));
    }
  }
  if (reader_.bad()) return Damaged();
  if (*budget == 0) return false;
  if (found_ != count_) {
    return InvalidArgument("there are " + std::to_string(found_) + " elements in " +
                           std::string(kNames[list_]) + ", the shape takes " +
                           std::to_string(count_));
  }
  if (datatype_ != Datatype::kBytes) bytes_ = count_ * tensor::ElementSize(datatype_);
  return true;
}

// Of rest_.
Status ContentsReader::WriteSome(uint64_t* budget) {
  const size_t before = rest_.size();
  if (list_ != kStrings && WidthOf(list_) == 0) {
    MLOS_RETURN_IF_ERROR(WithNumber(datatype_, [&]<typename To, typename Wire>(Number<To, Wire>) {
      return WritePacked<To, Wire>(&rest_, *budget, datatype_, &to_);
    }));
    Spend(before - rest_.size(), budget);
    return OkStatus();
  }
  // Strings, and floating point, which is on the wire as it is in memory.
  const std::string_view part = rest_.substr(0, kCopiedAtOnce);
  if (!Append(part, &to_)) return Damaged();
  rest_.remove_prefix(part.size());
  Spend(WorkOfCopy(part.size()), budget);
  return OkStatus();
}

StatusOr<bool> ContentsReader::Write(uint64_t* budget) {
  WireField field;
  while (*budget > 0) {
    if (!rest_.empty()) {
      MLOS_RETURN_IF_ERROR(WriteSome(budget));
      continue;
    }
    if (!reader_.Next(&field)) {
      if (!to_.empty()) return Damaged();
      return true;
    }
    Spend(kWorkOfField, budget);
    if (field.number != list_) continue;
    if (field.type == WireType::kBytes) {
      rest_ = field.bytes;
      const auto size = static_cast<uint32_t>(rest_.size());
      if (list_ == kStrings && !AppendValue(size, &to_)) return Damaged();
    } else if (const size_t width = WidthOf(list_); width > 0) {
      if (!Append({reinterpret_cast<const char*>(&field.value), width}, &to_)) return Damaged();
    } else {
      MLOS_RETURN_IF_ERROR(WithNumber(datatype_, [&]<typename To, typename Wire>(Number<To, Wire>) {
        return WriteNumber<To, Wire>(field.value, datatype_, &to_);
      }));
    }
  }
  return false;
}

}  // namespace mlos::grpc
