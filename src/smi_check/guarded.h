// SPDX-License-Identifier: Apache-2.0
//
// Memory that ends at a page nobody may touch: reading or writing past the end
// kills the process, which is how smi-check sees it.
// Ownership: a Guarded owns its pages.  Threads: as a plain buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlos {

class Guarded {
 public:
  // `size` bytes, zeroed, aligned to `alignment` (a power of two up to a
  // page).  Alignment may leave a few bytes between the end and the page; they
  // hold a pattern that SlackIsIntact() looks at.
  explicit Guarded(size_t size, size_t alignment = 8);
  ~Guarded();
  Guarded(Guarded&& other) noexcept;
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // A copy of `bytes`.
  static Guarded CopyOf(std::string_view bytes, size_t alignment = 1);

  void* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

  void MakeReadOnly();
  void MakeInaccessible();
  bool SlackIsIntact() const;

 private:
  void Protect(int protection);

  std::byte* pages_ = nullptr;
  size_t pages_size_ = 0;  // without the guard page
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace mlos
