// SPDX-License-Identifier: Apache-2.0
//
// What a local application says about its channel, and what a core says to one: either
// may be anything.  First byte: how many descriptors come with it; second: the message.
#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "hostlink/lane_messages.h"
#include "hostlink/messages.h"

namespace {

mlos::hostlink::Frame FrameOf(const uint8_t* data, size_t size) {
  mlos::hostlink::Frame frame;
  frame.payload.assign(reinterpret_cast<const char*>(data + 2), size - 2);
  for (int i = 0; i < data[0] % 6; ++i) frame.fds.emplace_back(open("/dev/null", O_CLOEXEC));
  return frame;
}

// What is understood is understood again when it is said again.
template <typename T>
void Again(const T& read, const T& again) {
  if (read.ok() && !again.ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlos::hostlink;
  if (size < 2) return 0;
  switch (data[1] % 7) {
    case 0: {
      auto grant = DecodeGrant(FrameOf(data, size));
      if (grant.ok() && !DecodeGrant(EncodeGrant(*std::move(grant))).ok()) std::abort();
      break;
    }
    case 1: {
      auto segment = DecodeSegment(FrameOf(data, size));
      if (segment.ok() && !DecodeSegment(EncodeSegment(*std::move(segment))).ok()) std::abort();
      break;
    }
    case 2:
      static_cast<void>(DecodeRefused(FrameOf(data, size)));
      break;
    case 3:
      if (auto ending = DecodeBeginEpoch(FrameOf(data, size)); ending.ok()) {
        Again(ending, DecodeBeginEpoch(EncodeBeginEpoch(*ending)));
      }
      break;
    case 4:
      static_cast<void>(DecodeMoreMemory(FrameOf(data, size)));
      static_cast<void>(DecodeHasSegment(FrameOf(data, size)));
      break;
    case 5:
      if (auto end = DecodeEnded(FrameOf(data, size)); end.ok()) {
        Again(end, DecodeEnded(EncodeEnded(*end)));
      }
      break;
    default:
      if (auto served = DecodeServed(FrameOf(data, size)); served.ok()) {
        Again(served, DecodeServed(EncodeServed(*served)));
      }
  }
  return 0;
}
