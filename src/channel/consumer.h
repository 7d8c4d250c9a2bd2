// SPDX-License-Identifier: Apache-2.0
//
// The consumer's end of a channel: a plugin host's.  Claims requests, gives
// out response memory, completes.
//
// Threads: Next, NextReplay, the Sleep functions and Add*Segment are called by
// one thread at a time.  AllocateResponse, Complete and IsCancelled may be
// called by any thread, for different entries, at once.
// Trust: the producer may be hostile.  What is claimed is a private copy.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"
#include "channel/doorbell.h"
#include "channel/grant.h"
#include "channel/layout.h"
#include "channel/producer.h"
#include "channel/segment.h"

namespace mlos::channel {

// A claimed request: a copy of its descriptor.
struct Claim {
  uint32_t entry = 0;
  uint32_t sequence = 0;
  uint32_t model = 0;
  uint32_t principal = 0;
  uint64_t deadline_ns = 0;
  uint32_t flags = 0;
  uint32_t attempts = 1;  // this one included
  uint64_t claimed_ns = 0;
  BlockRef request;  // unchecked: resolve with RequestMemory
};

struct ResponseBlock {
  BlockRef block;
  std::span<std::byte> memory;
};

class Consumer {
 public:
  // Checks and maps what was granted, and scans all entries: what was
  // submitted is found by Next, what a predecessor had claimed by NextReplay.
  // `rings`: how the producer is woken.  Of one that must not be able to stop this
  // end it has to be kSocket, whatever was granted (doorbell.h).
  static StatusOr<std::unique_ptr<Consumer>> Attach(ConsumerGrant grant,
                                                    EventKind rings = EventKind::kEventFd);
  ~Consumer();

  Status AddRequestSegment(SegmentGrant segment);
  Status AddResponseSegment(SegmentGrant segment);

  // Claims one submitted request; false if there is none.
  bool Next(Claim* claim);
  // Claims one request that an earlier epoch had claimed and not finished;
  // false if there is none left.  Those with kSuspect are run one at a time,
  // with nothing else running.
  bool NextReplay(Claim* claim);
  // Looks at all entries once more, as Attach did.  While the predecessor of a
  // hand-over lives, what it has claimed is its own: leave NextReplay alone, and
  // rescan when it has ended, in whatever way.
  void Rescan();
  bool HasSubmissions() const;
  // The plugin gets it now; any thread.  What has not begun when the host dies
  // is under no suspicion.
  void Begun(uint32_t entry, uint64_t now_ns);

  // Bytes of a block in the request segments; INVALID_ARGUMENT if it does not
  // lie inside a known one.
  StatusOr<std::span<const std::byte>> RequestMemory(const BlockRef& block) const;

  // Memory for a piece of an entry's response: piece 0 is the head, the others
  // are outputs.  An entry that asks for the same piece and no more bytes than
  // last time gets the same address again.  RESOURCE_EXHAUSTED when no segment
  // has room: ask the core for another, and try again.
  // Memory of an earlier answer is taken back once the producer has released
  // it.
  StatusOr<ResponseBlock> AllocateResponse(uint32_t entry, uint32_t piece, uint64_t bytes);

  // Publishes the answer; wakes the producer if it sleeps.  False if the entry
  // is not claimed by this epoch (nothing is published).
  // With `ring` false the producer is not woken: for answers that come in quick
  // succession, the last of which, or RingProducer, wakes it for all.
  bool Complete(const Claim& claim, const BlockRef& response, const Times& times, bool ring = true);
  void RingProducer();

  bool IsCancelled(uint32_t entry) const;

  // As for the producer.
  bool PrepareSleep(Sleep how);
  void FutexSleep(uint64_t deadline_ns);
  void FinishSleep();
  int event_fd() const;
  uint32_t epoch() const;

 private:
  Consumer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlos::channel
