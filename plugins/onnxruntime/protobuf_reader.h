// SPDX-License-Identifier: Apache-2.0
//
// ProtobufReader: walks the fields of one protobuf message in memory without
// copying.  Bounded: every length is checked against the bytes that remain,
// nothing is recursive.  Stricter than protobuf itself where that costs no real
// model anything (no groups, no overlong tags), so that what passes here reads
// the same in any other decoder.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_PROTOBUF_READER_H_
#define MLOS_PLUGINS_ONNXRUNTIME_PROTOBUF_READER_H_

#include <cstdint>
#include <string_view>

namespace mlos::onnxrt {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct ProtobufField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t varint = 0;     // kVarint
  std::string_view bytes;  // kBytes: the content
  std::string_view whole;  // tag, length and content, as it lies in the message

  bool IsBytes(uint32_t n) const { return number == n && type == WireType::kBytes; }
  bool IsVarint(uint32_t n) const { return number == n && type == WireType::kVarint; }
};

class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message) : rest_(message) {}

  // The next field, or false at the end of the message or of what is sound.
  bool Next(ProtobufField* field);

  // True when Next stopped because the bytes are no protobuf message.
  bool broken() const { return broken_; }

 private:
  bool Break() {
    broken_ = true;
    return false;
  }

  std::string_view rest_;
  bool broken_ = false;
};

// Takes a varint off the front of `bytes`; false when there is none.
bool TakeVarint(std::string_view* bytes, uint64_t* value);

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_PROTOBUF_READER_H_
