// SPDX-License-Identifier: Apache-2.0
//
// What the core and a local application say to each other about a direct channel,
// over a Link of its own (docs/ipc.md).  The application makes the channel and is its
// producer; the core passes what it makes on to the plugin host, tells the
// application what becomes of the host, and steps out.  The end of this link is the
// end of the channel.
//
//   core -> application
//     kBeginEpoch   a plugin host is to be the next consumer: "how" the last one
//                   ended and "late_before".  Answered by kGrant or kRefused.
//     kMoreMemory   response memory is short: "bytes".  Answered by kSegment or
//                   kRefused.
//     kHasSegment   the plugin host has the request segment "id" now
//     kEnded        the channel is over: "code", "text", and "reopen": whether opening
//                   it once more may help at once.  Everything that was claimed is
//                   answered by now; what was not can be taken back and asked for
//                   elsewhere.  The link ends after it.
//   application -> core
//     kGrant        of the consumer to be
//     kSegment      a segment and its descriptor; with id 0 one for requests that the
//                   application has made of its own accord
//     kRefused      "code", "text"
//
// An answer has the id of what it answers.  Both ends treat each other's frames as
// untrusted input.
#pragma once

#include "base/status.h"
#include "channel/grant.h"
#include "channel/producer.h"
#include "hostlink/link.h"

namespace mlos::hostlink {

enum LaneMessage : uint32_t {
  kBeginEpoch = 64,
  kMoreMemory = 65,
  kHasSegment = 66,
  kEnded = 67,
  kGrant = 80,
  kSegment = 81,
  kRefused = 82,
};

Frame EncodeBeginEpoch(const channel::Ending& ending);
StatusOr<channel::Ending> DecodeBeginEpoch(const Frame& frame);

Frame EncodeMoreMemory(uint64_t bytes);
StatusOr<uint64_t> DecodeMoreMemory(const Frame& frame);

Frame EncodeHasSegment(uint32_t id);
StatusOr<uint32_t> DecodeHasSegment(const Frame& frame);

struct LaneEnd {
  Status why;  // not OK
  bool reopen = false;
};
Frame EncodeEnded(const LaneEnd& end);
StatusOr<LaneEnd> DecodeEnded(const Frame& frame);

Frame EncodeGrant(channel::ConsumerGrant grant);
StatusOr<channel::ConsumerGrant> DecodeGrant(Frame frame);

Frame EncodeSegment(channel::SegmentGrant segment);
StatusOr<channel::SegmentGrant> DecodeSegment(Frame frame);

Frame EncodeRefused(const Status& why);
// The status that it carries; INVALID_ARGUMENT where it makes no sense.
Status DecodeRefused(const Frame& frame);

}  // namespace mlos::hostlink
