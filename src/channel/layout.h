// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a channel's control segment (docs/channel.md), shared by the
// producer and the consumer.
//
//   ControlHeader   4096 bytes
//   Entry[entries]  128 bytes each
//
// Both ends map it read-write, so nothing in it is trusted by either: sizes
// and counts are agreed on when the channel is granted and kept in private
// memory; descriptors are copied once and the copy is validated.
//
// The entry word is the truth.  The bitmaps of the header are hints: a bit
// says "look at this entry"; a bit too many costs a look, and a bit too few is
// made good by scanning all entries, which every new consumer does.  Bitmaps
// and not rings, because they are idempotent, cannot overflow, have no head or
// tail for a peer to forge, and let several host threads complete at once
// without a lock.
#pragma once

#include <atomic>
#include <cstdint>

namespace mlos::channel {

constexpr uint64_t kChannelMagic = 0x314e4843534f4c4d;  // "MLOSCHN1"
constexpr uint32_t kLayoutVersion = 1;
constexpr uint32_t kMaxEntries = 4096;
constexpr uint32_t kHintWords = kMaxEntries / 64;

// Where a block lies: an offset into a numbered segment, never an address.
struct BlockRef {
  uint32_t segment = 0;
  uint32_t reserved = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
};

// ------------------------------------------------------------- entry words
// One 64-bit word per entry: bits 0-2 state, 3-31 epoch, 32-63 sequence.
//
//   free -> submitted -> claimed(epoch) -> done -> free
//
// The producer makes free -> submitted, submitted -> free (taking back what
// nobody claimed) and done -> free.  The consumer makes submitted -> claimed
// and claimed -> done, and, as the successor of a dead consumer,
// claimed(old) -> claimed(new).  Every change but the producer's own
// free -> submitted is a compare-and-swap.
enum class EntryState : uint32_t { kFree = 0, kSubmitted = 1, kClaimed = 2, kDone = 3 };
constexpr uint32_t kMaxEpoch = (1u << 29) - 1;

struct EntryWord {
  EntryState state = EntryState::kFree;
  uint32_t epoch = 0;     // of the consumer that claimed it; 0 while nobody has
  uint32_t sequence = 0;  // counts the channel's submissions: identity and order

  static constexpr EntryWord Unpack(uint64_t raw) {
    return {static_cast<EntryState>(raw & 7), static_cast<uint32_t>(raw >> 3) & kMaxEpoch,
            static_cast<uint32_t>(raw >> 32)};
  }
  constexpr uint64_t Pack() const {
    return static_cast<uint64_t>(state) | (static_cast<uint64_t>(epoch & kMaxEpoch) << 3) |
           (static_cast<uint64_t>(sequence) << 32);
  }
};

// Flags of a submission.
constexpr uint32_t kReplayNever = 1;  // must not be run again after a host's death
// It ran when a host died of its own doing: run it with nothing else running, so
// that it is known what did it.  Set by the producer when it begins an epoch.
constexpr uint32_t kSuspect = 2;

struct alignas(128) Entry {
  // First cache line: written by the producer before it submits.
  std::atomic<uint64_t> word;
  std::atomic<uint32_t> model;      // handle that the host gave at load
  std::atomic<uint32_t> principal;  // stamped by the core
  std::atomic<uint64_t> deadline_ns;
  std::atomic<uint32_t> flags;
  std::atomic<uint32_t> request_segment;
  std::atomic<uint64_t> request_offset;
  std::atomic<uint64_t> request_length;
  std::atomic<uint32_t> cancel;    // set by the producer at any time
  std::atomic<uint32_t> attempts;  // consumers that have claimed it
  uint64_t reserved0;
  // Second cache line: written by the consumer before it completes.
  std::atomic<uint32_t> response_segment;
  uint32_t reserved1;
  std::atomic<uint64_t> response_offset;
  std::atomic<uint64_t> response_length;
  std::atomic<uint64_t> claimed_ns;  // CLOCK_MONOTONIC: taken from the channel
  std::atomic<uint64_t> started_ns;  // handed to the plugin; 0 while it waits for its turn
  std::atomic<uint64_t> finished_ns;
  uint64_t reserved2[2];
};
static_assert(sizeof(Entry) == 128);

// How the end that a Doorbell belongs to sleeps.
enum class Sleep : uint32_t { kAwake = 0, kEventFd = 1, kFutex = 2 };

struct alignas(64) Doorbell {
  // Sleep.  Set by the sleeper, exchanged for kAwake by whoever wakes it; the
  // futex word at the same time.
  std::atomic<uint32_t> sleep;
  uint32_t reserved[15];
};
static_assert(sizeof(Doorbell) == 64);

struct ControlHeader {
  uint64_t magic;
  uint32_t layout_version;
  uint32_t entries;
  std::atomic<uint32_t> epoch;  // of the present consumer; informative
  uint32_t reserved0[11];
  Doorbell consumer;  // rung by the producer
  Doorbell producer;  // rung by the consumer
  alignas(64) std::atomic<uint64_t> submitted[kHintWords];
  alignas(64) std::atomic<uint64_t> completed[kHintWords];
  uint8_t reserved1[4096 - 3 * 64 - 2 * kHintWords * 8];
};
static_assert(sizeof(ControlHeader) == 4096);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

constexpr uint64_t ControlBytes(uint32_t entries) {
  return sizeof(ControlHeader) + uint64_t{entries} * sizeof(Entry);
}

}  // namespace mlos::channel
