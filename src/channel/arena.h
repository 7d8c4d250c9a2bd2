// SPDX-License-Identifier: Apache-2.0
//
// Hands out blocks of numbered segments: a buddy allocator whose bookkeeping
// lies in private memory, so that no peer can spoil it.  Deterministic, no
// allocation of its own once segments are added.  Not synchronised.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "channel/layout.h"

namespace mlos::channel {

// Segment sizes: 1, 4, 16, 64, 256 MiB; larger needs get a segment of their
// own, rounded up to 2 MiB.
uint64_t SegmentClass(uint64_t bytes);

class Arena {
 public:
  Arena();
  ~Arena();
  static constexpr uint64_t kMinBlock = 512;

  void AddSegment(uint32_t id, uint64_t bytes);
  // A block of at least `bytes` (its length is what can be used), aligned to
  // 64; nullopt if there is none.
  std::optional<BlockRef> Allocate(uint64_t bytes);
  void Free(const BlockRef& block);
  uint64_t free_bytes() const;
  uint64_t total_bytes() const;  // that could be free at most

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlos::channel
