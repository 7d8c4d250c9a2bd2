// SPDX-License-Identifier: Apache-2.0
//
// A growable run of bytes that are not initialised, and that keeps its memory
// when cleared: what a connection reads into and writes from.
// Owns its memory; one thread.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace mlos {

class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }

  void Clear() { size_ = 0; }
  void Resize(size_t size) {
    Reserve(size);
    size_ = size;
  }
  // Gives memory back when there is more than `keep`.
  void Trim(size_t keep) {
    if (capacity_ <= keep) return;
    std::free(data_);
    data_ = nullptr;
    size_ = capacity_ = 0;
  }

  void Swap(Buffer& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  // Room for `more` bytes behind the end.  Used like: p = Tail(n); write up to
  // n bytes at p; Advance(written).
  char* Tail(size_t more) {
    if (capacity_ - size_ < more) Grow(size_ + more);
    return data_ + size_;
  }
  void Advance(size_t written) { size_ += written; }

  void Append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(Tail(text.size()), text.data(), text.size());
    size_ += text.size();
  }
  void Append(char c) {
    *Tail(1) = c;
    ++size_;
  }
  // Exactly, where the size is known.
  void Reserve(size_t capacity) {
    if (capacity > capacity_) Reallocate(capacity);
  }

 private:
  void Grow(size_t least) {
    const size_t doubled = capacity_ * 2;
    Reallocate(least > doubled ? least : doubled);
  }
  void Reallocate(size_t capacity) {
    if (capacity < 256) capacity = 256;
    char* data = static_cast<char*>(std::realloc(data_, capacity));
    if (data == nullptr) throw std::bad_alloc();
    data_ = data;
    capacity_ = capacity;
  }

  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace mlos
