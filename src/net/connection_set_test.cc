// SPDX-License-Identifier: Apache-2.0
#include "net/connection_set.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "base/clock.h"

namespace mlos::net {
namespace {

using Refusal = ConnectionSetOwner::Refusal;

class FakeServer final : public ConnectionSetOwner {
 public:
  class Connection final : public Member {
   public:
    Connection(Socket socket, FakeServer& server) : socket_(std::move(socket)), server_(server) {}
    ~Connection() override { ++server_.gone; }
    void Start() override { ++server_.started; }
    void Sweep(uint64_t) override {
      if (server_.expire) Close();
    }
    void Drain() override {
      if (!busy) Close();
    }
    void Close() override {
      boost::system::error_code ignored;
      socket_.close(ignored);
      server_.set.Remove(*this);
    }
    bool busy = false;

   private:
    Socket socket_;
    FakeServer& server_;
  };

  explicit FakeServer(ConnectionSet::Limits limits) : set(loop, *this, limits) {
    static int servers = 0;
    address_ = "/tmp/mlos-set-" + std::to_string(getpid()) + "-" + std::to_string(++servers);
    EXPECT_TRUE(set.Listen("unix:" + address_).ok());
  }
  ~FakeServer() override {
    set.End();
    loop.io().poll();  // those that have closed
  }

  // ConnectionSetOwner
  std::shared_ptr<Member> NewMember(Socket socket) override {
    if (no_memory) throw std::bad_alloc();
    auto made = std::make_shared<Connection>(std::move(socket), *this);
    made->busy = busy;
    return made;
  }
  void OnAccepted() override { ++accepted; }
  void OnRefused(const OwnedFd& client, Refusal why) override {
    EXPECT_EQ(why != Refusal::kNotMade, static_cast<bool>(client));
    refused.push_back(why);
  }
  void OnSwept(uint64_t, bool last) override {
    ++swept;
    swept_last += last ? 1 : 0;
  }

  void Connect() {
    OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, address_.c_str(), sizeof(to.sun_path) - 1);
    ASSERT_EQ(0, ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)));
    clients_.push_back(std::move(fd));
  }
  // Runs the loop until it is so; false: not within a deadline.
  bool Until(const std::function<bool()>& so) {
    const uint64_t deadline = NowNanos() + 10 * kNanosPerSecond;
    while (!so() && NowNanos() < deadline) loop.io().run_one_for(std::chrono::milliseconds(20));
    return so();
  }

  EventLoop loop;
  bool no_memory = false;
  bool expire = false;
  bool busy = false;
  size_t started = 0, accepted = 0, gone = 0, swept = 0, swept_last = 0;
  std::vector<Refusal> refused;
  ConnectionSet set;

 private:
  std::string address_;
  std::vector<OwnedFd> clients_;
};

constexpr uint64_t kSweepNs = 10 * kNanosPerMilli;

TEST(ConnectionSetTest, AcceptsUpToItsLimits) {
  FakeServer all({.connections = 2, .connections_per_peer = 9, .sweep_ns = kSweepNs});
  for (int i = 0; i < 3; ++i) all.Connect();
  EXPECT_TRUE(all.Until([&] { return all.started == 2 && all.refused.size() == 1; }));
  EXPECT_EQ(Refusal::kFull, all.refused.at(0));
  FakeServer peer({.connections = 9, .connections_per_peer = 2, .sweep_ns = kSweepNs});
  for (int i = 0; i < 3; ++i) peer.Connect();
  EXPECT_TRUE(peer.Until([&] { return peer.started == 2 && peer.refused.size() == 1; }));
  EXPECT_EQ(Refusal::kPeerIsFull, peer.refused.at(0));
  // One that goes makes room.
  peer.set.members().front()->Close();
  peer.Connect();
  EXPECT_TRUE(peer.Until([&] { return peer.started == 3 && peer.gone == 1; }));
}

TEST(ConnectionSetTest, WhereOneCannotBeMadeTheOthersCan) {
  FakeServer server({.connections = 9, .connections_per_peer = 1, .sweep_ns = kSweepNs});
  server.no_memory = true;
  server.Connect();
  EXPECT_TRUE(server.Until([&] { return server.refused.size() == 1; }));
  EXPECT_EQ(Refusal::kNotMade, server.refused.at(0));
  server.no_memory = false;
  server.Connect();
  EXPECT_TRUE(server.Until([&] { return server.started == 1; }));
  EXPECT_EQ(1u, server.accepted);
}

TEST(ConnectionSetTest, SweepsWhileThereAreAny) {
  FakeServer server({.connections = 9, .connections_per_peer = 9, .sweep_ns = kSweepNs});
  EXPECT_EQ(0u, server.loop.io().run_one_for(std::chrono::milliseconds(1)));
  for (int i = 0; i < 5; ++i) server.Connect();
  EXPECT_TRUE(server.Until([&] { return server.started == 5 && server.swept >= 2; }));
  EXPECT_EQ(0u, server.swept_last);
  server.expire = true;
  EXPECT_TRUE(server.Until([&] { return server.gone == 5; }));
  EXPECT_EQ(1u, server.swept_last);
  const size_t swept = server.swept;
  server.expire = false;
  server.Connect();
  EXPECT_TRUE(server.Until([&] { return server.swept > swept; }));
}

TEST(ConnectionSetTest, DrainsWhatCameBeforeIt) {
  FakeServer server({.connections = 9, .connections_per_peer = 9, .sweep_ns = kSweepNs});
  server.Connect();
  EXPECT_TRUE(server.Until([&] { return server.started == 1; }));
  server.busy = true;
  server.Connect();
  EXPECT_TRUE(server.Until([&] { return server.started == 2; }));
  bool drained = false;
  server.set.Drain([&] { drained = true; });
  EXPECT_TRUE(server.Until([&] { return server.gone == 1; }));
  server.Connect();
  EXPECT_TRUE(server.Until([&] { return server.started == 3; }));
  EXPECT_FALSE(drained);
  const auto present = server.set.members();
  ASSERT_EQ(2u, present.size());
  EXPECT_TRUE(present[1]->late());
  present[0]->Close();
  EXPECT_TRUE(server.Until([&] { return drained; }));
  EXPECT_EQ(1u, server.set.size());
}

TEST(ConnectionSetTest, WhatWaitsToBeAcceptedIsPartOfADrain) {
  FakeServer server({.connections = 9, .connections_per_peer = 9, .sweep_ns = kSweepNs});
  server.busy = true;
  server.Connect();
  server.Connect();
  server.set.AcceptWaiting();
  EXPECT_EQ(2u, server.started);
  bool drained = false;
  server.set.Drain([&] { drained = true; });
  server.loop.io().poll();
  EXPECT_FALSE(drained);
  for (const auto& member : std::vector(server.set.members())) {
    EXPECT_FALSE(member->late());
    member->Close();
  }
  EXPECT_TRUE(server.Until([&] { return drained; }));
}

}  // namespace
}  // namespace mlos::net
