// SPDX-License-Identifier: Apache-2.0
//
// Numbers and texts of a payload, one behind the other: read with bounds, and
// written.
//
// A Reader is a value over bytes that it borrows: once something was not there
// all that follows reads as nothing, and ok() says so.  A Writer appends to a
// buffer that it borrows.  One thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "base/buffer.h"

namespace mlos::ipc {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes), size_(bytes.size()) {}

  uint32_t U32() { return Number<uint32_t>(); }
  uint64_t U64() { return Number<uint64_t>(); }
  int64_t I64() { return Number<int64_t>(); }
  // Stays where the payload does.
  std::string_view Text() { return Bytes(U32()); }
  std::string_view Bytes(uint64_t count) {
    if (count > rest_.size()) {
      rest_ = {};
      ok_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, static_cast<size_t>(count));
    rest_.remove_prefix(static_cast<size_t>(count));
    return bytes;
  }

  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }
  size_t at() const { return size_ - rest_.size(); }
  // All of it was read, and nothing was missing.
  bool whole() const { return ok_ && rest_.empty(); }

 private:
  template <typename T>
  T Number() {
    T value = 0;
    const std::string_view bytes = Bytes(sizeof(T));
    if (bytes.size() == sizeof(T)) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  std::string_view rest_;
  const size_t size_;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(Buffer* out) : out_(*out) {}

  void U32(uint32_t value) { Number(value); }
  void U64(uint64_t value) { Number(value); }
  void I64(int64_t value) { Number(value); }
  // Of a text longer than its length can say, as much as it can.
  void Text(std::string_view text) {
    text = text.substr(0, std::numeric_limits<uint32_t>::max());
    U32(static_cast<uint32_t>(text.size()));
    out_.Append(text);
  }

 private:
  template <typename T>
  void Number(T value) {
    std::memcpy(out_.Tail(sizeof(T)), &value, sizeof(T));
    out_.Advance(sizeof(T));
  }

  Buffer& out_;
};

}  // namespace mlos::ipc
