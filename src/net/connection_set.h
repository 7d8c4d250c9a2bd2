// SPDX-License-Identifier: Apache-2.0
//
// The connections of one server, whatever they speak: listens, accepts up to a
// number in all and for each peer, sweeps for what is late, drains, and gives
// back the heap that a crowd has left.
//
// Threads: made before the loop runs or on its thread; everything else there.
// Lifetime: loop and owner outlive it; the owner calls End before he goes.  A
// connection is shared between the set and the operations that it has under
// way.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/owned_fd.h"
#include "base/status.h"
#include "net/listener.h"
#include "net/peer_counts.h"

namespace mlos::net {

using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                boost::asio::io_context::executor_type>;

// A connection, as far as its server's set knows it.
class Member {
 public:
  virtual ~Member() = default;
  virtual void Start() = 0;
  // Looks for what is late; a few times a second.
  virtual void Sweep(uint64_t now_ns) = 0;
  // The server drains: it ends when what it has in hand is answered.
  virtual void Drain() = 0;
  // Ends now, and says so to its owner, who calls ConnectionSet::Remove.
  virtual void Close() = 0;

  // It was accepted when the server drained already.
  bool late() const { return late_; }
  const Peer& peer() const { return peer_; }

 private:
  friend class ConnectionSet;
  size_t index_ = 0;
  Peer peer_;
  bool late_ = false;
};

class ConnectionSetOwner {
 public:
  enum class Refusal : uint8_t { kFull, kPeerIsFull, kNotMade };

  virtual ~ConnectionSetOwner() = default;
  // Null: it cannot be had, and is closed.
  virtual std::shared_ptr<Member> NewMember(Socket socket) = 0;
  // It is in the set now, and about to be started.
  virtual void OnAccepted() = 0;
  // Closed after this; kNotMade: it is closed already, there was no memory for
  // it, or no member was made.
  virtual void OnRefused(const OwnedFd& client, Refusal why) = 0;
  // All have been looked at; `last` when there are none any more.
  virtual void OnSwept(uint64_t now_ns, bool last) = 0;
};

class ConnectionSet {
 public:
  struct Limits {
    uint32_t connections;
    uint32_t connections_per_peer;
    uint64_t sweep_ns;
  };

  ConnectionSet(EventLoop& loop, ConnectionSetOwner& owner, const Limits& limits);
  ~ConnectionSet();
  ConnectionSet(const ConnectionSet&) = delete;
  ConnectionSet& operator=(const ConnectionSet&) = delete;

  // On HOST:PORT, [v6]:PORT or unix:PATH, as often as it is called; port 0
  // takes a free one.  Returns the address in use.
  StatusOr<std::string> Listen(std::string_view text);

  // Accepts those that have connected and were not looked at yet: who is about
  // to drain owes them an answer, and closing the listening socket resets them.
  void AcceptWaiting();
  // Drain, for what clients have sent by now as well: accepts who waits, and
  // leaves the loop the turns to read it.  `begin` is called just before.
  void DrainAfterReading(std::function<void()> begin, std::function<void()> done);
  // Drains all that there are, then calls `done`: once, on the loop, never
  // after End.  Those that come now are late, and do not hold it up.
  void Drain(std::function<void()> done);
  bool draining() const { return draining_; }
  // Stops listening and closes all.
  void End();

  size_t size() const { return members_.size(); }
  // What they take, by whose they are; given back before Remove.
  PeerCounts& peers() { return peers_; }
  // Who does what may end one takes a copy.
  const std::vector<std::shared_ptr<Member>>& members() const { return members_; }
  // One that the drain need not wait for, though it was there before.
  void MakeLate(Member& member);
  // One that has closed; it lives on until the loop's next turn.
  void Remove(Member& member);

 private:
  void Accept(Accepted client);
  std::shared_ptr<Member> Enter(Accepted client);
  void StartSweeping();
  void Sweep();
  void GiveBackHeap();
  void CheckDrained();
  void DrainIn(size_t turns, std::function<void()> begin, std::function<void()> done);

  EventLoop& loop_;
  ConnectionSetOwner& owner_;
  const Limits limits_;
  PeerCounts peers_;
  const std::shared_ptr<boost::asio::steady_timer> sweep_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  bool sweeping_ = false;
  bool draining_ = false;
  size_t most_ = 0;   // at once, since memory was last given back
  size_t swept_ = 0;  // how many there were at the sweep before
  size_t early_ = 0;  // accepted before the server drained
  std::function<void()> drained_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::shared_ptr<Member>> members_;
};

}  // namespace mlos::net
