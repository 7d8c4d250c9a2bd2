// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_contents.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "frontends/grpc/protobuf_reader.h"

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
WireType SingleType(List list) {
  return list == kFp32s     ? WireType::kFixed32
         : list == kFp64s   ? WireType::kFixed64
         : list == kStrings ? WireType::kBytes
                            : WireType::kVarint;
}

std::string Name(Datatype datatype) { return std::string(tensor::DatatypeName(datatype)); }

Status Damaged() { return InvalidArgument("the contents are damaged"); }

// Elements of one field of the list; false: it has none of its kind.
bool CountField(const WireField& field, List list, uint64_t* count, uint64_t* bytes) {
  if (list == kStrings) {
    if (field.type != WireType::kBytes) return false;
    ++*count;
    *bytes += sizeof(uint32_t) + field.bytes.size();
    return true;
  }
  if (field.type != WireType::kBytes) {
    ++*count;
    return field.type == SingleType(list);
  }
  const std::string_view packed = field.bytes;
  const size_t width = list == kFp32s ? 4 : list == kFp64s ? 8 : 0;
  if (width > 0) {
    *count += packed.size() / width;
    return packed.size() % width == 0;
  }
  if (!packed.empty() && (static_cast<uint8_t>(packed.back()) & 0x80) != 0) return false;
  *count += static_cast<uint64_t>(std::count_if(
      packed.begin(), packed.end(), [](char c) { return (static_cast<uint8_t>(c) & 0x80) == 0; }));
  return true;
}

// Writes elements one after the other.
class Writer {
 public:
  explicit Writer(std::span<std::byte> to) : to_(to) {}

  bool Append(const void* data, size_t bytes) {
    if (bytes > to_.size() - at_) return false;
    if (bytes > 0) std::memcpy(to_.data() + at_, data, bytes);
    at_ += bytes;
    return true;
  }
  bool full() const { return at_ == to_.size(); }

 private:
  const std::span<std::byte> to_;
  size_t at_ = 0;
};

// `Wire` is the list's type, which may be wider than the tensor's: as many bits
// of the number are looked at as it has.
template <typename To, typename Wire>
Status WriteNumber(uint64_t number, Datatype datatype, Writer* out) {
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
  const auto narrow = static_cast<To>(value);
  return out->Append(&narrow, sizeof narrow) ? OkStatus() : Damaged();
}

template <typename To, typename Wire>
Status WriteNumbers(const WireField& field, Datatype datatype, Writer* out) {
  if (field.type == WireType::kVarint) return WriteNumber<To, Wire>(field.value, datatype, out);
  std::string_view packed = field.bytes;
  while (!packed.empty()) {
    uint64_t number = 0;
    if (!ReadVarint(&packed, &number)) return Damaged();
    MLOS_RETURN_IF_ERROR((WriteNumber<To, Wire>(number, datatype, out)));
  }
  return OkStatus();
}

// Floating point is on the wire as it is in memory.
Status WriteFloats(const WireField& field, size_t width, Writer* out) {
  const bool written = field.type == WireType::kBytes
                           ? out->Append(field.bytes.data(), field.bytes.size())
                           : out->Append(&field.value, width);
  return written ? OkStatus() : Damaged();
}

Status WriteString(std::string_view text, Writer* out) {
  const auto size = static_cast<uint32_t>(text.size());
  const bool written = out->Append(&size, sizeof size) && out->Append(text.data(), text.size());
  return written ? OkStatus() : Damaged();
}

Status WriteField(const WireField& field, Datatype datatype, Writer* out) {
  switch (datatype) {
    case Datatype::kBool:
      return WriteNumbers<uint8_t, bool>(field, datatype, out);
    case Datatype::kInt8:
      return WriteNumbers<int8_t, int32_t>(field, datatype, out);
    case Datatype::kInt16:
      return WriteNumbers<int16_t, int32_t>(field, datatype, out);
    case Datatype::kInt32:
      return WriteNumbers<int32_t, int32_t>(field, datatype, out);
    case Datatype::kInt64:
      return WriteNumbers<int64_t, int64_t>(field, datatype, out);
    case Datatype::kUint8:
      return WriteNumbers<uint8_t, uint32_t>(field, datatype, out);
    case Datatype::kUint16:
      return WriteNumbers<uint16_t, uint32_t>(field, datatype, out);
    case Datatype::kUint32:
      return WriteNumbers<uint32_t, uint32_t>(field, datatype, out);
    case Datatype::kUint64:
      return WriteNumbers<uint64_t, uint64_t>(field, datatype, out);
    case Datatype::kFp32:
      return WriteFloats(field, sizeof(float), out);
    case Datatype::kFp64:
      return WriteFloats(field, sizeof(double), out);
    case Datatype::kBytes:
      return WriteString(field.bytes, out);
    case Datatype::kFp16:
    case Datatype::kBf16:
    case Datatype::kInvalid:
      break;
  }
  return Internal("a datatype without a typed form");
}

}  // namespace

Status MeasureContents(std::string_view contents, Datatype datatype, uint64_t count,
                       uint64_t* bytes) {
  const List mine = ListOf(datatype);
  if (mine == kNone) {
    return InvalidArgument(Name(datatype) + " has no typed form: send it in raw_input_contents");
  }
  uint64_t found = 0;
  *bytes = 0;
  FieldReader reader(contents);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number > kStrings) continue;  // of a later version of the protocol
    if (field.number == mine) {
      if (!CountField(field, mine, &found, bytes)) return Damaged();
    } else if (field.type != WireType::kBytes || !field.bytes.empty() || field.number == kStrings) {
      return InvalidArgument("the elements of " + Name(datatype) + " are in " +
                             std::string(kNames[field.number]) + ", their place is " +
                             std::string(kNames[mine]));
    }
  }
  if (reader.bad()) return Damaged();
  if (found != count) {
    return InvalidArgument("there are " + std::to_string(found) + " elements in " +
                           std::string(kNames[mine]) + ", the shape takes " +
                           std::to_string(count));
  }
  if (datatype != Datatype::kBytes) *bytes = count * tensor::ElementSize(datatype);
  return OkStatus();
}

Status WriteContents(std::string_view contents, Datatype datatype, std::span<std::byte> to) {
  const List mine = ListOf(datatype);
  Writer out(to);
  FieldReader reader(contents);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == mine) MLOS_RETURN_IF_ERROR(WriteField(field, datatype, &out));
  }
  return out.full() ? OkStatus() : Damaged();
}

}  // namespace mlos::grpc
