// SPDX-License-Identifier: Apache-2.0
//
// The consumer's private memory.  Included by consumer.cc only.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "channel/arena.h"
#include "channel/consumer.h"
#include "channel/doorbell.h"
#include "channel/segment.h"

namespace mlos::channel {

// A response has a head and at most this many outputs; bounds what a confused
// caller can make an entry keep.
constexpr uint32_t kMaxPieces = 4097;
constexpr uint32_t kMaxRequestSegments = 1024;

// Who uses an entry's private half.
enum class Use : uint32_t {
  kIdle,
  kWorking,     // claimed: the thread that works on it
  kAnswered,    // the producer reads its memory until it has released the entry
  kReclaiming,  // a thread that takes its memory back, holding the mutex
};

// Memory that an entry keeps for a piece of its response until memory runs
// short.
struct Piece {
  ResponseBlock memory;
  uint32_t sequence = 0;  // of the claim that asked for it last
};

struct Local {
  std::atomic<Use> use = Use::kIdle;
  std::atomic<uint32_t> sequence = 0;  // of the claim
  std::vector<Piece> pieces;
};

// What a predecessor had claimed.
struct Replay {
  uint32_t sequence = 0;
  uint32_t epoch = 0;
  uint32_t entry = 0;
};

struct Consumer::Impl {
  std::unique_ptr<Segment> control;
  ControlHeader* header = nullptr;
  Entry* entries = nullptr;
  uint32_t entry_count = 0;
  uint32_t words = 0;  // hint words in use
  uint32_t epoch = 0;
  Sleeper sleeper;
  OwnedFd producer_event;
  EventKind rings = EventKind::kEventFd;
  uint32_t cursor = 0;
  std::vector<Replay> replay;
  std::unique_ptr<Local[]> locals;

  // Written by the channel's thread, read by all: filled before it is counted.
  std::array<NumberedSegment, kMaxRequestSegments> requests;
  std::atomic<uint32_t> request_count = 0;

  Mutex mutex;
  Arena arena MLOS_GUARDED_BY(mutex);
  std::vector<NumberedSegment> responses MLOS_GUARDED_BY(mutex);

  const Segment* FindRequest(uint32_t id) const;
  void FillClaim(uint32_t entry, uint32_t sequence, Claim* claim);
  bool TakeLocal(uint32_t entry, Use* before);
  bool ClaimEntry(uint32_t entry, Claim* claim);
  bool TakeBack(Piece* piece) MLOS_REQUIRES(mutex);
  bool ReclaimIdle() MLOS_REQUIRES(mutex);
  std::optional<BlockRef> Find(Local* local, uint64_t bytes) MLOS_REQUIRES(mutex);
};

}  // namespace mlos::channel
