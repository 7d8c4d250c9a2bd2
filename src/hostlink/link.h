// SPDX-License-Identifier: Apache-2.0
//
// Frames between the core and a plugin host: a type, a number that ties a
// reply to its request, a JSON payload, and file descriptors beside it, over a
// connected Unix stream socket.
//
// Owns its socket.  Not synchronised.  The peer is untrusted: a frame is
// bounded in length and in descriptors, and anything else ends the link.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::hostlink {

constexpr uint32_t kMaxPayload = 8u << 20;
constexpr uint32_t kMaxFds = 240;  // the kernel takes 253 at once
// Of Descriptors::kFew.
constexpr uint32_t kFewPayload = 64u << 10;
constexpr uint32_t kFewFds = 64;

struct Frame {
  uint32_t type = 0;
  uint64_t id = 0;
  std::string payload;
  std::vector<OwnedFd> fds;
};

class Link {
 public:
  // A host has no descriptors to give: the core lets none in.  A local application has
  // a few, and may hold little of the core's memory with what it does not finish.
  enum class Descriptors { kTaken, kRefused, kFew };
  explicit Link(OwnedFd socket, Descriptors descriptors = Descriptors::kTaken);

  int fd() const { return socket_.get(); }
  // What waits to be sent is lost.
  void Close() { socket_.Reset(); }

  // Queues a frame.  RESOURCE_EXHAUSTED when too much waits already (the peer
  // does not read) or the frame is over its bounds.
  Status Enqueue(Frame frame);
  // Sends what the socket takes now.  True when everything is sent.
  StatusOr<bool> Flush();
  // Enqueue and wait until it is sent; for ends that may block.
  Status Send(Frame frame);

  // Reads what is there, without blocking, and appends whole frames to `out`;
  // of a lot a part, so that a peer that sends without end keeps nobody: the
  // socket is readable again at once.
  // UNAVAILABLE when the peer has closed; INVALID_ARGUMENT when it broke the
  // framing.
  Status Receive(std::vector<Frame>* out);

 private:
  struct Header {
    uint32_t length = 0;
    uint32_t type = 0;
    uint64_t id = 0;
    uint32_t fds = 0;
    uint32_t reserved = 0;
  };
  struct Outgoing {
    std::string bytes;
    std::vector<OwnedFd> fds;
    size_t sent = 0;
  };
  Status ParseFrames(std::vector<Frame>* out);
  uint32_t most_payload() const {
    return descriptors_ == Descriptors::kFew ? kFewPayload : kMaxPayload;
  }
  // Descriptors whose message has not come whole.
  uint32_t most_waiting() const {
    return descriptors_ == Descriptors::kFew ? kFewFds : 4 * kMaxFds;
  }
  uint32_t most_fds() const { return descriptors_ == Descriptors::kFew ? kFewFds : kMaxFds; }

  OwnedFd socket_;
  const Descriptors descriptors_;
  std::deque<Outgoing> outgoing_;
  size_t outgoing_bytes_ = 0;
  std::string incoming_;
  std::deque<OwnedFd> incoming_fds_;
};

}  // namespace mlos::hostlink
