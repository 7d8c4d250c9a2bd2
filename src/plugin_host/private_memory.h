// SPDX-License-Identifier: Apache-2.0
//
// Memory of a worker's own for the tensors of one request at a time, where those
// of the channel could be rewritten by its application while they are used.
//
// Ownership: what Allocate returns lives until Clear.
// Threads: one at a time.
// Lifetime: kept from request to request, so that nothing is allocated once it is
// warm; what is more than kKept goes back to the system at Clear.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlos::plugin_host {

class PrivateMemory {
 public:
  // Of one request.  An application may name the same bytes as several inputs, and
  // must not be able to fill the host's memory with copies of them.
  static constexpr uint64_t kMost = uint64_t{1} << 30;
  static constexpr uint64_t kKept = uint64_t{32} << 20;
  static constexpr uint64_t kAlignment = 64;

  PrivateMemory() = default;
  ~PrivateMemory();
  PrivateMemory(const PrivateMemory&) = delete;
  PrivateMemory& operator=(const PrivateMemory&) = delete;

  // Aligned; an address of its own also for 0 bytes.  Null when it would be more
  // than kMost since Clear, or the system has none.
  std::byte* Allocate(uint64_t bytes);
  // Nothing that was given out is used any more.
  void Clear();

  uint64_t held() const { return held_; }

 private:
  struct Chunk {
    std::byte* memory = nullptr;
    uint64_t size = 0;
    uint64_t used = 0;
  };
  bool AddChunk(uint64_t bytes);
  void Free(const Chunk& chunk);

  std::vector<Chunk> chunks_;
  uint64_t held_ = 0;   // by all chunks
  uint64_t given_ = 0;  // since Clear
};

}  // namespace mlos::plugin_host
