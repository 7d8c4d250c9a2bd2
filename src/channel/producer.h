// SPDX-License-Identifier: Apache-2.0
//
// The producer's end of a channel: makes it, fills requests, submits, collects
// answers, exactly one per submission, whatever happens to the consumer.
//
// Threads: one thread at a time owns a Producer (a front-end loop, a client);
// nothing here is synchronised but the shared memory itself.
// Lifetime: memory handed out by Begin is the caller's until Submit or
// Abandon; response memory until Release.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "channel/arena.h"
#include "channel/doorbell.h"
#include "channel/grant.h"
#include "channel/layout.h"
#include "channel/segment.h"

namespace mlos::channel {

struct Options {
  uint32_t entries = 1024;            // requests in flight at most; ≤ kMaxEntries, multiple of 64
  uint64_t request_bytes = 1 << 20;   // first request segment
  uint64_t response_bytes = 1 << 20;  // first response segment of each epoch
  uint64_t prefault_bytes = 256 << 10;  // of each first segment
  // All segments of the channel together.  The first response segment of an
  // epoch counts, but is not refused: a successor must be able to start.
  uint64_t max_bytes = uint64_t{4} << 30;
  // How the consumer rings this end.  Where neither trusts the other: kSocket, and
  // the consumer attaches so; it takes a microsecond more (doorbell.h).
  EventKind rung_by = EventKind::kEventFd;
  uint32_t first_sequence = 1;  // where the count of submissions begins; for tests of its wrap
};

// A request that is being written.
struct RequestSlot {
  uint32_t entry = 0;
  BlockRef block;               // where it lies
  std::span<std::byte> memory;  // the same, here; at least what was asked for
};

enum class BeginResult {
  kOk,
  kNoCredit,  // the lane has as many requests in flight as it may
  kNoEntry,   // the channel is full
  kNoSpace,   // no request memory: add a segment (AddRequestSegment)
};

struct Submission {
  uint32_t model = 0;
  uint32_t principal = 0;
  uint64_t deadline_ns = 0;
  uint32_t flags = 0;
  uint64_t user_data = 0;  // comes back with the completion; private to this end
};

struct Times {
  uint64_t claimed_ns = 0;
  uint64_t started_ns = 0;
  uint64_t finished_ns = 0;
};

// How a consumer ended, as far as its requests are concerned.
enum class Death : uint8_t {
  kFromOutside,  // killed by others, told to end, or handed over: nobody is suspected
  kOfItsOwn,     // a signal raised inside, an exit: whatever ran may have done it
  kHung,         // stopped because requests ran far past their deadlines: those did it
};

struct Ending {
  Death how = Death::kFromOutside;
  uint64_t late_before_ns = 0;  // kHung: whose deadline was before this
};

// What ran each time that its consumer was killed from outside so often is
// suspected all the same: the system kills whoever takes too much memory.
constexpr uint32_t kMostOutside = 3;

// A request that ran alone, or was late, when its consumer died this often is
// not run again.
constexpr uint32_t kMostStrikes = 2;

// An answered request.  `lost` is set instead of a response when it was given
// up: by FailPending, or by Judge.
struct Completion {
  uint32_t entry = 0;
  uint64_t user_data = 0;
  BlockRef response;
  Times times;
  bool lost = false;
  bool struck = false;  // lost, because it had kMostStrikes
};

// How much of a channel is in use, for people who watch it.
struct Usage {
  uint32_t entries = 0;
  uint32_t entries_used = 0;
  uint64_t request_bytes = 0;       // that requests may be written to
  uint64_t request_used_bytes = 0;  // also what free entries keep for their next request
  uint64_t response_bytes = 0;      // of all epochs that are still read
};

class Producer {
 public:
  static StatusOr<std::unique_ptr<Producer>> Create(const Options& options);
  ~Producer();

  // -------------------------------------------------------------- consumers
  // Starts the next epoch with a fresh response segment.  Before the first
  // consumer, and again when the last one is dead and reaped, or has handed
  // over (claims nothing and sleeps no more, and only finishes).  Answers that the old one had
  // finished stay collectable, also those that it could not announce: call Poll afterwards.
  // Descriptors of what is still waiting are written once more, so that
  // nothing that a dying consumer scribbled is replayed.
  Status BeginEpoch();
  uint32_t epoch() const;
  // Duplicated descriptors for the consumer of the present epoch.
  StatusOr<ConsumerGrant> Grant() const;

  // A further request segment (of at least `bytes`, by size class).  Its
  // memory is handed out only after ActivateRequestSegment(id), which the
  // owner calls when the consumer has it.
  StatusOr<SegmentGrant> AddRequestSegment(uint64_t bytes);
  void ActivateRequestSegment(uint32_t id);
  // A further response segment, when the consumer asks for one.
  StatusOr<SegmentGrant> AddResponseSegment(uint64_t bytes);
  uint64_t segment_bytes() const;  // all segments together
  Usage usage() const;

  // --------------------------------------------------------------- requests
  // Lanes divide the channel: a lane is (principal, model), and none holds
  // more than `limit` entries.  Lanes are numbered from 0; any number below
  // 65536 works, all start with the default limit of entries * 3 / 4.
  void SetLaneLimit(uint32_t lane, uint32_t limit);

  // Whether Begin would give kNoCredit or kNoEntry.
  bool Full(uint32_t lane) const;
  BeginResult Begin(uint32_t lane, uint64_t bytes, RequestSlot* slot);
  void Abandon(const RequestSlot& slot);
  // Publishes the request; wakes the consumer if it sleeps.
  void Submit(const RequestSlot& slot, const Submission& submission);

  // Nobody waits for this answer any more.  True: it had not been claimed and
  // is taken back: no completion will come, the entry is free.  False: the
  // consumer has it; its completion comes as usual.
  bool Cancel(uint32_t entry);

  // As Cancel, but where that would free the entry it goes back to its writer, with
  // its memory as it is: to be submitted again, or abandoned.
  bool TakeBack(uint32_t entry);

  // Collects everything that is done, calling `done` for each; the entry is
  // the caller's until Release.  Returns how many.  `done` may call Begin,
  // Submit, Cancel, Release.
  size_t Poll(const std::function<void(const Completion&)>& done);
  // True if Poll might find something; reads shared memory only.
  bool HasCompletions() const;

  // Bytes of the response of a collected entry, valid until its Release, or
  // INVALID_ARGUMENT if the consumer lied about where they are.  Also for the
  // tensor blocks that the response names.  Only memory of the epoch that
  // answered is accepted: an older epoch's may go away at any Release.
  StatusOr<std::span<const std::byte>> ResponseMemory(uint32_t entry, const BlockRef& block) const;
  void Release(uint32_t entry);
  // Instead of Release: the answer goes, and the entry is its writer's again with its
  // memory as it is, for the same request once more.
  void Reuse(uint32_t entry);

  // The consumer is gone (dead and reaped) and none will follow: everything
  // submitted or claimed completes as lost.
  // What it had finished is left for Poll.  As there, Release each entry.
  size_t FailPending(const std::function<void(const Completion&)>& done);

  // The consumer is gone, and a successor will follow: to be called before its
  // BeginEpoch.  Says who is suspected of the death (docs/channel.md), calls
  // `strike` for each entry that it is laid to, and completes as lost what is
  // claimed and carries kReplayNever, and what has kMostStrikes.  Returns how
  // many were lost; Release each.
  size_t Judge(const Ending& ending, const std::function<void(uint32_t entry)>& strike,
               const std::function<void(const Completion&)>& done);
  // What was submitted in this entry, as long as it is not released: private
  // to this end, and request memory that a consumer cannot write.
  const Submission& SubmissionOf(uint32_t entry) const;
  RequestSlot RequestOf(uint32_t entry) const;

  uint32_t in_flight() const;  // submitted and not released

  // Calls `f(entry, user_data, deadline_ns)` for what is submitted and not
  // done; for the owner's own deadline sweep.
  void ForEachPending(const std::function<void(uint32_t, uint64_t, uint64_t)>& f) const;

  // ----------------------------------------------------------------- waiting
  // To sleep: PrepareSleep(how); if it returns false there is something to
  // collect, do not sleep.  Otherwise wait on event_fd() (kEventFd) or with
  // FutexSleep, then FinishSleep.  Each wake-up is an edge of event_fd(), and
  // FinishSleep takes it back, so epoll may watch it in either way; but only
  // edge-triggered watching is safe from a hostile peer that rings all the
  // time without being asked.
  bool PrepareSleep(Sleep how);
  void FutexSleep(uint64_t deadline_ns);
  void FinishSleep();
  // For owners that watch event_fd(), which a hostile consumer may fill at any
  // time: it was found readable.  Empties it; never blocks.
  void OnEventReadable();
  int event_fd() const;

 private:
  Producer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlos::channel
