// SPDX-License-Identifier: Apache-2.0
//
// What a consumer is given to take part in a channel: descriptors and the
// sizes that go with them.  Travels as a control message (the numbers) with
// descriptors beside it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/owned_fd.h"

namespace mlos::channel {

struct SegmentGrant {
  uint32_t id = 0;
  uint64_t bytes = 0;
  OwnedFd fd;
};

struct ConsumerGrant {
  uint32_t entries = 0;
  uint32_t epoch = 0;
  OwnedFd control;
  OwnedFd consumer_event;  // the consumer sleeps on it: a socket (doorbell.h)
  OwnedFd producer_event;  // rings the producer: an eventfd, or a socket (Options::rung_by)
  std::vector<SegmentGrant> requests;
  std::vector<SegmentGrant> responses;  // of this epoch
};

}  // namespace mlos::channel
