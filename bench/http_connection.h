// SPDX-License-Identifier: Apache-2.0
//
// The client's end of one HTTP/1.1 connection that repeats one request, for http_load.
//
// A Connection owns its socket and its receive buffer, borrows the Exchange (which must outlive
// it) and belongs to one thread. It never blocks: the caller waits for the descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::bench {

// What is sent, byte for byte, and what must come back.
struct Exchange {
  std::string request;
  std::string expected_body;
  int expected_status = 200;
};

class Connection {
 public:
  // `address` is IPV4:PORT or unix:PATH. Connecting itself may block.
  static StatusOr<std::unique_ptr<Connection>> Open(const std::string& address,
                                                    const Exchange& exchange);

  int fd() const { return fd_.get(); }
  // When the request that is outstanding, or was last, began.
  uint64_t begun() const { return begun_; }
  bool unsent() const { return sent_ < exchange_.request.size(); }
  // The whole request is sent and the whole answer is there; Verify may then be called.
  bool complete() const { return !unsent() && total_ != 0 && received_ == total_; }

  // Begin starts the next request, Send goes on with it when the socket can take more, Receive
  // takes what has arrived; an answer of another status or length than expected is an error.
  Status Begin();
  Status Send();
  Status Receive();

  // OK when the body of the complete answer is the expected one.
  Status Verify() const;

 private:
  Connection(const Exchange& exchange, OwnedFd fd);
  Status ParseHead();

  const Exchange& exchange_;
  OwnedFd fd_;
  std::vector<char> answer_;
  size_t sent_ = 0;
  size_t received_ = 0;
  size_t head_ = 0;
  size_t total_ = 0;  // head and body; 0 until the head is complete
  uint64_t begun_ = 0;
};

}  // namespace mlos::bench
