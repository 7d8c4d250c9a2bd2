// SPDX-License-Identifier: Apache-2.0
//
// Buddies with trimming.  Free memory consists of aligned pieces of 2^k units;
// an allocation takes one and returns the tail that it does not need, so that
// a tensor slightly above a power of two does not take twice its size.  What
// is used is kept to eighths of a power of two, so that blocks fit one another.
#include "channel/arena.h"

#include <array>
#include <bit>
#include <cassert>
#include <cstdlib>

namespace mlos::channel {

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kLargestClass = 256 * kMiB;
constexpr uint32_t kOrders = 20;  // 512 B << 19 = 256 MiB
constexpr uint32_t kNone = UINT32_MAX;

enum class Kind : uint32_t { kInside = 0, kFree, kUsed };

// One per unit, meaningful at the first unit of a piece or block.  Zeroed
// memory means kInside, so untouched parts of a large segment cost no page.
struct Node {
  Kind kind;
  uint32_t size;  // order of a free piece, units of a used block
  uint32_t next;
  uint32_t previous;
};

struct FreeMemory {
  void operator()(Node* nodes) const { std::free(nodes); }
};

}  // namespace

uint64_t SegmentClass(uint64_t bytes) {
  for (uint64_t size = kMiB; size <= kLargestClass; size *= 4) {
    if (bytes <= size) return size;
  }
  constexpr uint64_t kHuge = 2 * kMiB;
  if (bytes > UINT64_MAX - kHuge) return UINT64_MAX / kHuge * kHuge;
  return (bytes + kHuge - 1) / kHuge * kHuge;
}

struct Arena::Impl {
  // The buddies of one segment.  A segment above the largest class has none:
  // it was made for one tensor and is handed out whole.
  struct Buddies {
    uint32_t id = 0;
    uint64_t bytes = 0;
    bool whole = false;
    bool whole_used = false;
    uint32_t units = 0;
    uint32_t free_units = 0;
    uint32_t orders = 0;  // bit k: there is a free piece of order k
    std::array<uint32_t, kOrders> first;
    std::unique_ptr<Node[], FreeMemory> nodes;

    void Link(uint32_t at, uint32_t order) {
      nodes[at] = {Kind::kFree, order, first[order], kNone};
      if (first[order] != kNone) nodes[first[order]].previous = at;
      first[order] = at;
      orders |= 1u << order;
    }

    void Unlink(uint32_t at) {
      const Node node = nodes[at];
      if (node.next != kNone) nodes[node.next].previous = node.previous;
      if (node.previous != kNone) {
        nodes[node.previous].next = node.next;
      } else {
        first[node.size] = node.next;
        if (node.next == kNone) orders &= ~(1u << node.size);
      }
      nodes[at].kind = Kind::kInside;
    }

    void FreePiece(uint32_t at, uint32_t order) {
      while (order + 1 < kOrders) {
        const uint32_t buddy = at ^ (1u << order);
        if (buddy >= units || nodes[buddy].kind != Kind::kFree || nodes[buddy].size != order) break;
        Unlink(buddy);
        at &= ~(1u << order);
        ++order;
      }
      Link(at, order);
    }

    // Any range, as the aligned pieces that it consists of.
    void FreeRange(uint32_t at, uint32_t count) {
      free_units += count;
      while (count > 0) {
        uint32_t order = static_cast<uint32_t>(std::bit_width(count)) - 1;
        if (at != 0) {
          order = std::min(order, static_cast<uint32_t>(std::countr_zero(at)));
        }
        FreePiece(at, order);
        at += 1u << order;
        count -= 1u << order;
      }
    }

    std::optional<BlockRef> Take(uint32_t count) {
      const uint32_t needed = static_cast<uint32_t>(std::countr_zero(std::bit_ceil(count)));
      const uint32_t fitting = orders & ~((1u << needed) - 1);
      if (fitting == 0) return std::nullopt;
      const uint32_t order = static_cast<uint32_t>(std::countr_zero(fitting));
      const uint32_t at = first[order];
      Unlink(at);
      nodes[at] = {Kind::kUsed, count, 0, 0};
      free_units -= 1u << order;
      FreeRange(at + count, (1u << order) - count);
      return BlockRef{id, 0, at * kMinBlock, count * kMinBlock};
    }
  };

  std::vector<Buddies> segments;
};

Arena::Arena() : impl_(std::make_unique<Impl>()) {}
Arena::~Arena() = default;

void Arena::AddSegment(uint32_t id, uint64_t bytes) {
  Impl::Buddies& added = impl_->segments.emplace_back();
  added.id = id;
  added.bytes = bytes;
  added.whole = bytes > kLargestClass;
  added.first.fill(kNone);
  if (added.whole) return;
  added.units = static_cast<uint32_t>(bytes / kMinBlock);
  added.nodes.reset(static_cast<Node*>(std::calloc(added.units, sizeof(Node))));
  if (added.nodes == nullptr) std::abort();  // as the default of operator new
  added.FreeRange(0, added.units);
}

std::optional<BlockRef> Arena::Allocate(uint64_t bytes) {
  if (bytes > kLargestClass) {
    for (Impl::Buddies& segment : impl_->segments) {
      if (!segment.whole || segment.whole_used || segment.bytes < bytes) continue;
      segment.whole_used = true;
      return BlockRef{segment.id, 0, 0, segment.bytes};
    }
    return std::nullopt;
  }
  uint32_t units = static_cast<uint32_t>((bytes + kMinBlock - 1) / kMinBlock);
  if (units == 0) units = 1;
  const uint32_t step = std::bit_ceil(units) / 8;
  if (step > 1) units = (units + step - 1) / step * step;
  for (Impl::Buddies& segment : impl_->segments) {
    if (auto block = segment.Take(units)) return block;
  }
  return std::nullopt;
}

void Arena::Free(const BlockRef& block) {
  for (Impl::Buddies& segment : impl_->segments) {
    if (segment.id != block.segment) continue;
    if (segment.whole) {
      assert(segment.whole_used);
      segment.whole_used = false;
      return;
    }
    const uint32_t at = static_cast<uint32_t>(block.offset / kMinBlock);
    assert(block.offset % kMinBlock == 0 && at < segment.units);
    Node& node = segment.nodes[at];
    assert(node.kind == Kind::kUsed && node.size * kMinBlock == block.length);
    node.kind = Kind::kInside;
    segment.FreeRange(at, node.size);
    return;
  }
  assert(false && "a block of another arena");
}

uint64_t Arena::free_bytes() const {
  uint64_t sum = 0;
  for (const Impl::Buddies& segment : impl_->segments) {
    if (!segment.whole)
      sum += uint64_t{segment.free_units} * kMinBlock;
    else if (!segment.whole_used)
      sum += segment.bytes;
  }
  return sum;
}

uint64_t Arena::total_bytes() const {
  uint64_t sum = 0;
  for (const Impl::Buddies& segment : impl_->segments) {
    sum += segment.whole ? segment.bytes : uint64_t{segment.units} * kMinBlock;
  }
  return sum;
}

}  // namespace mlos::channel
