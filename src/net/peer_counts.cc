// SPDX-License-Identifier: Apache-2.0
#include "net/peer_counts.h"

#include <netinet/in.h>

#include <cstring>

namespace mlos::net {
namespace {

constexpr uint32_t kLoopbackNet = 127;

Peer OfV4(uint32_t host_order) {
  if (host_order >> 24 == kLoopbackNet) return {Peer::Kind::kLoopback, 0};
  return {Peer::Kind::kV4, host_order};
}

Peer OfV6(const in6_addr& address) {
  if (IN6_IS_ADDR_LOOPBACK(&address)) return {Peer::Kind::kLoopback, 0};
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    uint32_t v4 = 0;
    std::memcpy(&v4, address.s6_addr + 12, sizeof(v4));
    return OfV4(ntohl(v4));
  }
  uint64_t network = 0;
  for (int i = 0; i < 8; ++i) network = network << 8 | address.s6_addr[i];
  return {Peer::Kind::kV6, network};
}

Peer OfUser(int fd) {
  ucred who{};
  socklen_t size = sizeof(who);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return {};
  return {Peer::Kind::kUser, who.uid};
}

}  // namespace

Peer PeerOf(const sockaddr_storage& address, int fd) {
  switch (address.ss_family) {
    case AF_INET:
      return OfV4(ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
    case AF_INET6:
      return OfV6(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
    case AF_UNIX:
      return OfUser(fd);
    default:
      return {};
  }
}

bool PeerCounts::Enter(const Peer& peer) {
  uint32_t& count = counts_[peer].connections;
  if (count >= most_) return false;  // most_ is 1 or more: this one is known
  ++count;
  return true;
}

void PeerCounts::Leave(const Peer& peer) {
  const auto it = counts_.find(peer);
  if (it != counts_.end() && --it->second.connections == 0) counts_.erase(it);
}

bool PeerCounts::Take(const Peer& peer, uint64_t bytes, uint64_t most) {
  const auto it = counts_.find(peer);
  if (it == counts_.end()) return false;
  uint64_t& taken = it->second.bytes;
  if (taken > most || bytes > most - taken) return false;
  taken += bytes;
  return true;
}

void PeerCounts::GiveBack(const Peer& peer, uint64_t bytes) {
  const auto it = counts_.find(peer);
  if (it != counts_.end()) it->second.bytes -= bytes;
}

}  // namespace mlos::net
