// SPDX-License-Identifier: Apache-2.0
//
// Who holds memory of a channel while the contents of its request arrive.  Who
// sends slowly must not take a channel's places and memory from others: there are
// so many, and so much, at once, and one connection has at most half of what the
// others leave.
//
// One per event loop; one thread.
#pragma once

#include <cstdint>
#include <vector>

namespace mlos::grpc {

class OpenFills {
 public:
  // A quarter of a channel's places, and an eighth of its memory, as asked for.
  // What is refused is collected elsewhere first and costs a second copy.
  static constexpr uint32_t kMost = 512;
  static constexpr uint64_t kMostBytes = 512 << 20;

  // For a request of this connection; false: it has to wait until it is whole.
  bool Take(const void* connection, uint64_t bytes);
  // What was taken.
  void Give(const void* connection, uint64_t bytes);

  uint32_t count() const { return all_.count; }
  uint64_t bytes() const { return all_.bytes; }

 private:
  struct Held {
    const void* connection = nullptr;
    uint32_t count = 0;
    uint64_t bytes = 0;
  };
  std::vector<Held>::iterator Find(const void* connection);

  Held all_;
  std::vector<Held> held_;  // by those that hold something: few
};

}  // namespace mlos::grpc
