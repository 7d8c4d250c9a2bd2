// SPDX-License-Identifier: Apache-2.0
//
// The producer's private memory.  Included by producer.cc and
// producer_memory.cc only.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "channel/arena.h"
#include "channel/doorbell.h"
#include "channel/producer.h"
#include "channel/segment.h"

namespace mlos::channel {

// The response segments of one epoch; they stay mapped while an entry refers
// to them.
struct ResponseEpoch {
  uint32_t epoch = 0;
  uint32_t pins = 0;
  std::vector<NumberedSegment> responses;
};

struct Lane {
  uint32_t held = 0;
  uint32_t limit = 0;
};

// Who has an entry: the truth as far as the producer is concerned.
enum class Holder : uint8_t {
  kNobody,
  kWriter,    // between Begin and Submit
  kConsumer,  // between Submit and collection
  kReader,    // between collection and Release
};

struct Shadow {
  Holder state = Holder::kNobody;
  bool cancelled = false;
  bool suspect = false;
  uint8_t strikes = 0;
  uint8_t outside = 0;  // deaths from outside while it ran; at most kMostOutside
  uint32_t lane = 0;
  uint32_t sequence = 0;
  uint32_t answered_by = 0;
  BlockRef block;  // kept while the entry is free, until memory runs short
  std::span<std::byte> memory;
  Submission submission;
  ResponseEpoch* pin = nullptr;  // where its answer lies, or may lie
};

struct Producer::Impl {
  Options options;
  std::unique_ptr<Segment> control;
  ControlHeader* header = nullptr;
  Entry* entries = nullptr;
  uint32_t words = 0;  // hint words in use
  Sleeper sleeper;
  OwnedFd producer_bell;   // for grants: what rings this end; none: the sleeper's event
  OwnedFd consumer_event;  // for grants: the consumer's end
  OwnedFd consumer_bell;   // rings it

  std::vector<NumberedSegment> requests;
  Arena arena;                                         // of the active request segments
  std::vector<std::unique_ptr<ResponseEpoch>> epochs;  // the present one last
  uint32_t epoch = 0;
  uint32_t next_segment_id = 1;
  uint64_t total_bytes = 0;

  std::vector<Shadow> shadows;
  std::vector<uint32_t> free_entries;  // a stack
  std::vector<Lane> lanes;
  uint32_t next_sequence = 1;
  uint32_t pending = 0;    // held by the consumer
  uint32_t in_flight = 0;  // held by the consumer or a reader

  StatusOr<NumberedSegment> NewSegment(const char* name, uint64_t bytes, Access mine, Access others,
                                       uint64_t prefault);
  Status CheckRoom(uint64_t bytes) const;
  void CarryOver(uint32_t entry);
  void CarryOverWaiting(uint32_t entry);
  void Pin(Shadow* shadow, ResponseEpoch* target);
  void DropUnusedEpochs();
  ResponseEpoch* FindEpoch(uint32_t number);
  Lane* FindLane(uint32_t lane);
  bool FitBlock(Shadow* shadow, uint64_t bytes);
  void FreeEntry(uint32_t entry);
  void WriteDescriptor(uint32_t entry);
  bool Collect(uint32_t entry, Completion* completion);
  bool Blame(uint32_t entry, const Ending& ending);
  Completion GiveUp(uint32_t entry);
  bool HasAnswers();
};

}  // namespace mlos::channel
