// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/private_memory.h"

#include <sys/mman.h>

#include <algorithm>

namespace mlos::plugin_host {
namespace {

constexpr uint64_t kSmallestChunk = uint64_t{1} << 20;

constexpr uint64_t RoundUp(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

PrivateMemory::~PrivateMemory() {
  for (const Chunk& chunk : chunks_) Free(chunk);
}

std::byte* PrivateMemory::Allocate(uint64_t bytes) {
  if (bytes > kMost - given_) return nullptr;
  const uint64_t whole = RoundUp(std::max<uint64_t>(bytes, 1), kAlignment);
  auto it = std::find_if(chunks_.begin(), chunks_.end(),
                         [&](const Chunk& c) { return c.size - c.used >= whole; });
  if (it == chunks_.end()) {
    if (!AddChunk(whole)) return nullptr;
    it = std::prev(chunks_.end());
  }
  std::byte* const memory = it->memory + it->used;
  it->used += whole;
  given_ += std::min(whole, kMost - given_);
  return memory;
}

// Mapped and not taken from the heap, which would not give it back.
bool PrivateMemory::AddChunk(uint64_t bytes) {
  const uint64_t size = RoundUp(bytes, kSmallestChunk);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  chunks_.push_back({static_cast<std::byte*>(memory), size, 0});
  held_ += size;
  return true;
}

void PrivateMemory::Free(const Chunk& chunk) {
  munmap(chunk.memory, chunk.size);
  held_ -= chunk.size;
}

void PrivateMemory::Clear() {
  given_ = 0;
  // One large tensor does not take with it what the small ones have warmed.
  std::erase_if(chunks_, [this](const Chunk& chunk) {
    if (chunk.size <= kKept) return false;
    Free(chunk);
    return true;
  });
  while (held_ > kKept) {
    Free(chunks_.back());
    chunks_.pop_back();
  }
  for (Chunk& chunk : chunks_) chunk.used = 0;
}

}  // namespace mlos::plugin_host
