// SPDX-License-Identifier: Apache-2.0
//
// Memory for the one asynchronous operation a connection has under way, so
// that starting it allocates nothing.  Belongs to the connection; one thread.
#pragma once

#include <cstddef>
#include <new>

namespace mlos::net {

class IoMemory {
 public:
  IoMemory() = default;
  IoMemory(const IoMemory&) = delete;
  IoMemory& operator=(const IoMemory&) = delete;

  void* Allocate(size_t bytes) {
    if (!used_ && bytes <= sizeof(storage_)) {
      used_ = true;
      return storage_;
    }
    return ::operator new(bytes);
  }
  void Free(void* p) {
    if (p == storage_) {
      used_ = false;
    } else {
      ::operator delete(p);
    }
  }

 private:
  alignas(std::max_align_t) std::byte storage_[384];
  bool used_ = false;
};

// The allocator that Asio asks a handler for.
template <typename T>
class IoAllocator {
 public:
  using value_type = T;
  explicit IoAllocator(IoMemory& memory) : memory_(&memory) {}
  template <typename U>
  IoAllocator(const IoAllocator<U>& other) : memory_(other.memory_) {}  // NOLINT: rebinding
  T* allocate(size_t n) { return static_cast<T*>(memory_->Allocate(n * sizeof(T))); }
  void deallocate(T* p, size_t) { memory_->Free(p); }
  template <typename U>
  bool operator==(const IoAllocator<U>& other) const {
    return memory_ == other.memory_;
  }

 private:
  template <typename U>
  friend class IoAllocator;
  IoMemory* memory_;
};

}  // namespace mlos::net
