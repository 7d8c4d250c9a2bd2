// SPDX-License-Identifier: Apache-2.0
//
// How many connections each peer has, and how much memory they take, so that
// none has all there is.
//
// A peer is who would have to be asked to stop: an IPv4 address; the first half
// of an IPv6 address, of which one host has the rest to itself; the machine
// itself, whichever loopback address it uses; on a Unix socket, a user.
//
// One thread; values.  Takes memory for a peer's first connection only.
#pragma once

#include <sys/socket.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>

namespace mlos::net {

struct Peer {
  enum class Kind : uint8_t { kUnknown, kLoopback, kV4, kV6, kUser };
  Kind kind = Kind::kUnknown;
  uint64_t value = 0;
  auto operator<=>(const Peer&) const = default;
};

// From the address that accept gave; of a Unix socket, from the system's word on `fd`.
Peer PeerOf(const sockaddr_storage& address, int fd);

class PeerCounts {
 public:
  explicit PeerCounts(uint32_t most) : most_(most) {}

  // False: the peer has as many as one may have.
  bool Enter(const Peer& peer);
  void Leave(const Peer& peer);  // once for each Enter that was true
  // Memory, of one that has a connection; false: it would have more than `most`.
  bool Take(const Peer& peer, uint64_t bytes, uint64_t most);
  void GiveBack(const Peer& peer, uint64_t bytes);
  size_t peers() const { return counts_.size(); }

 private:
  const uint32_t most_;
  struct Share {
    uint32_t connections = 0;
    uint64_t bytes = 0;
  };
  std::map<Peer, Share> counts_;
};

}  // namespace mlos::net
