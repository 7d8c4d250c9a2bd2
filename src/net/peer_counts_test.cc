// SPDX-License-Identifier: Apache-2.0
#include "net/peer_counts.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace mlos::net {
namespace {

Peer V4(const char* text) {
  sockaddr_storage storage{};
  auto& address = reinterpret_cast<sockaddr_in&>(storage);
  address.sin_family = AF_INET;
  EXPECT_EQ(inet_pton(AF_INET, text, &address.sin_addr), 1);
  return PeerOf(storage, -1);
}

Peer V6(const char* text) {
  sockaddr_storage storage{};
  auto& address = reinterpret_cast<sockaddr_in6&>(storage);
  address.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  return PeerOf(storage, -1);
}

TEST(PeerTest, IsWhoWouldHaveToStop) {
  EXPECT_EQ(V4("192.0.2.1"), V4("192.0.2.1"));
  EXPECT_NE(V4("192.0.2.1"), V4("192.0.2.2"));
  EXPECT_EQ(V6("2001:db8::1"), V6("2001:db8::ffff:1:2:3"));
  EXPECT_NE(V6("2001:db8::1"), V6("2001:db8:0:1::1"));
  EXPECT_EQ(V6("::ffff:192.0.2.1"), V4("192.0.2.1"));
  EXPECT_NE(V6("::ffff:192.0.2.1"), V6("::ffff:192.0.2.2"));
  for (const Peer& local : {V4("127.0.0.1"), V4("127.8.9.10"), V6("::1"), V6("::ffff:127.0.0.2")}) {
    EXPECT_EQ(local, (Peer{Peer::Kind::kLoopback, 0}));
  }
  EXPECT_EQ(V6("fe80::1").kind, Peer::Kind::kV6);
}

TEST(PeerTest, OnAUnixSocketIsAUser) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  sockaddr_storage unnamed{};
  unnamed.ss_family = AF_UNIX;
  EXPECT_EQ(PeerOf(unnamed, pair[0]), (Peer{Peer::Kind::kUser, getuid()}));
  close(pair[0]);
  close(pair[1]);
}

TEST(PeerCountsTest, BoundTheMemoryOfEach) {
  PeerCounts counts(9);
  const Peer one{Peer::Kind::kV4, 1};
  const Peer other{Peer::Kind::kV4, 2};
  EXPECT_FALSE(counts.Take(one, 1, 100));  // it is not there
  EXPECT_TRUE(counts.Enter(one));
  EXPECT_TRUE(counts.Enter(one));
  EXPECT_TRUE(counts.Enter(other));
  EXPECT_TRUE(counts.Take(one, 60, 100));
  EXPECT_FALSE(counts.Take(one, 41, 100));
  EXPECT_FALSE(counts.Take(one, UINT64_MAX, 100));
  EXPECT_TRUE(counts.Take(one, 40, 100));
  EXPECT_TRUE(counts.Take(other, 100, 100));
  counts.GiveBack(one, 60);
  counts.Leave(one);
  EXPECT_TRUE(counts.Take(one, 60, 100));
}

TEST(PeerCountsTest, StopEachAtTheLimit) {
  PeerCounts counts(2);
  const Peer one{Peer::Kind::kV4, 1};
  const Peer other{Peer::Kind::kV4, 2};
  EXPECT_TRUE(counts.Enter(one));
  EXPECT_TRUE(counts.Enter(one));
  EXPECT_FALSE(counts.Enter(one));
  EXPECT_TRUE(counts.Enter(other));
  counts.Leave(one);
  EXPECT_TRUE(counts.Enter(one));
  EXPECT_FALSE(counts.Enter(one));
  counts.Leave(one);
  counts.Leave(one);
  counts.Leave(other);
  EXPECT_EQ(counts.peers(), 0u);  // who is gone leaves nothing behind
}

}  // namespace
}  // namespace mlos::net
