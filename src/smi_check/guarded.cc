// SPDX-License-Identifier: Apache-2.0
#include "smi_check/guarded.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace mlos {
namespace {

constexpr int kPattern = 0xc7;

size_t PageSize() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

Guarded::Guarded(size_t size, size_t alignment) : size_(size) {
  const size_t page = PageSize();
  const size_t rounded = (size + alignment - 1) & ~(alignment - 1);
  pages_size_ = (rounded + page - 1) / page * page;
  void* mapped = ::mmap(nullptr, pages_size_ + page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  // Sizes are bounded by the callers; without these pages there is no test.
  if (mapped == MAP_FAILED) std::abort();
  pages_ = static_cast<std::byte*>(mapped);
  if (::mprotect(pages_ + pages_size_, page, PROT_NONE) != 0) std::abort();
  data_ = pages_ + pages_size_ - rounded;
  std::memset(static_cast<std::byte*>(data_) + size, kPattern, rounded - size);
}

Guarded::Guarded(Guarded&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)),
      pages_size_(other.pages_size_),
      data_(other.data_),
      size_(other.size_) {}

Guarded::~Guarded() {
  if (pages_ != nullptr) ::munmap(pages_, pages_size_ + PageSize());
}

Guarded Guarded::CopyOf(std::string_view bytes, size_t alignment) {
  Guarded memory(bytes.size(), alignment);
  if (!bytes.empty()) std::memcpy(memory.data(), bytes.data(), bytes.size());
  return memory;
}

void Guarded::Protect(int protection) {
  if (pages_size_ > 0 && ::mprotect(pages_, pages_size_, protection) != 0) std::abort();
}

void Guarded::MakeReadOnly() { Protect(PROT_READ); }
void Guarded::MakeInaccessible() { Protect(PROT_NONE); }

bool Guarded::SlackIsIntact() const {
  const auto* at = static_cast<const std::byte*>(data_) + size_;
  for (; at != pages_ + pages_size_; ++at) {
    if (*at != static_cast<std::byte>(kPattern)) return false;
  }
  return true;
}

}  // namespace mlos
