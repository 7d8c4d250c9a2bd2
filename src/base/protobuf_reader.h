// SPDX-License-Identifier: Apache-2.0
//
// Reads the fields of a protocol buffer where it lies, for messages whose size
// a stranger chooses: nothing is copied and nothing allocated, so that a small
// message cannot become large in memory.  Groups are refused; nothing that we
// know has them.
//
// Values and functions without state; views are of the message.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlos {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr size_t kMostVarint = 10;  // bytes

// Takes one from the front of `*text`; false: there is none.
inline bool ReadVarint(std::string_view* text, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < kMostVarint && i < text->size(); ++i) {
    const auto byte = static_cast<uint8_t>((*text)[i]);
    *value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    text->remove_prefix(i + 1);
    return true;
  }
  return false;
}

template <typename T>
bool ReadFixed(std::string_view* text, T* value) {
  if (text->size() < sizeof(T)) return false;
  std::memcpy(value, text->data(), sizeof(T));
  text->remove_prefix(sizeof(T));
  return true;
}

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      // kVarint, kFixed64, kFixed32
  std::string_view bytes;  // kBytes
};

class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}

  // False at the end, and where the message is none: `bad`.
  bool Next(WireField* field) {
    if (rest_.empty()) return false;
    *field = {};
    uint64_t tag = 0;
    if (!ReadVarint(&rest_, &tag) || tag > UINT32_MAX || tag >> 3 == 0) return Bad();
    field->number = static_cast<uint32_t>(tag >> 3);
    field->type = static_cast<WireType>(tag & 7);
    switch (field->type) {
      case WireType::kVarint:
        return ReadVarint(&rest_, &field->value) || Bad();
      case WireType::kFixed64:
        return ReadFixed(&rest_, &field->value) || Bad();
      case WireType::kFixed32: {
        uint32_t value = 0;
        if (!ReadFixed(&rest_, &value)) return Bad();
        field->value = value;
        return true;
      }
      case WireType::kBytes: {
        uint64_t size = 0;
        if (!ReadVarint(&rest_, &size) || size > rest_.size()) return Bad();
        field->bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
      }
    }
    return Bad();
  }
  bool bad() const { return bad_; }

 private:
  bool Bad() {
    bad_ = true;
    return false;
  }

  std::string_view rest_;
  bool bad_ = false;
};

}  // namespace mlos
