// SPDX-License-Identifier: Apache-2.0
//
// The channels that a plugin host takes requests from: the core's own lanes and
// those of local applications, under which numbers plugins see their entries,
// and when one that was detached may go.
//
// Ownership: the table and the lists that it handed out own the channels; a job
// only borrows, and is counted in `owed`.
// Threads: not synchronised: the scheduler's lock guards it.  What is constant
// in a channel may be read by everybody who keeps it alive.
// Lifetime: a list is a snapshot, replaced and never changed.  A detached
// channel lives until nothing is owed and no older list has it.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "channel/consumer.h"
#include "hostlink/messages.h"

namespace mlos::plugin_host {

// Numbers below are the core's lanes, the others applications'.
constexpr uint32_t kFirstApplication = 16;
// smi_request.slot stays below 65536.  Each lane has as many slots as a channel
// may have entries; applications share out what is behind the lanes in blocks.
constexpr uint32_t kMaxLanes = 4;
constexpr uint32_t kLaneSlots = 4096;
constexpr uint32_t kFirstBlock = kMaxLanes * kLaneSlots;
constexpr uint32_t kBlockSlots = 64;  // and the most entries of an application's channel
constexpr uint32_t kMaxApplications = 512;
static_assert(kLaneSlots >= channel::kMaxEntries);
// The number 65535 is that of warm-up requests.
static_assert(kFirstBlock + kMaxApplications * kBlockSlots < 65535);

struct AttachedChannel {
  // Constant.
  uint32_t number = 0;
  uint32_t entries = 0;
  uint32_t first_slot = 0;  // the slot of entry 0
  // Of an application's channel.  None: the core is the producer, and is believed.
  std::optional<hostlink::ChannelTerms> terms;
  std::unique_ptr<channel::Consumer> consumer;

  // Under the scheduler's lock.
  uint32_t owed = 0;      // requests that were claimed and not answered, and rings held back
  uint64_t segments = 0;  // response segments that came; counts refusals too
  Status refusal;
  uint32_t added = 0;       // segments since it was attached
  hostlink::Served served;  // of an application's: since the core was told
  bool deaf = false;        // did not answer in time when memory was asked for
};

using ChannelList = std::vector<std::shared_ptr<AttachedChannel>>;

// Whether number, terms and entries go together, and an application's descriptors
// are what they should be; before anything is mapped.
Status CheckAttach(const hostlink::AttachChannel& attach);

class ChannelTable {
 public:
  ChannelTable() : list_(std::make_shared<ChannelList>()) {}

  // Gives it its slots.  ALREADY_EXISTS while one of this number is attached, or
  // detached and not gone yet; RESOURCE_EXHAUSTED when all slots are taken.
  Status Add(std::shared_ptr<AttachedChannel> channel);
  // Takes it off the list.  NOT_FOUND if it is not on it.
  StatusOr<AttachedChannel*> Detach(uint32_t number);
  // One that was detached and is needed by nobody any more, for the caller to
  // destroy; null if there is none.
  std::shared_ptr<AttachedChannel> TakeFinished();
  bool any_detached() const { return !detached_.empty(); }

  // What requests are claimed from.
  const std::shared_ptr<const ChannelList>& list() const { return list_; }
  // Detached ones too: what runs may need memory.  Null if unknown.
  AttachedChannel* Find(uint32_t number) const;

 private:
  std::shared_ptr<const ChannelList> list_;
  ChannelList detached_;
  // The lowest that is free is taken: plugins keep things per slot that was used.
  std::bitset<kMaxApplications> blocks_;
};

}  // namespace mlos::plugin_host
