// SPDX-License-Identifier: Apache-2.0
//
// One client's connection: the socket of a session.  Reads what comes, writes
// what the session has, as soon as it has it; answers that become ready in one
// turn of the loop go out together.
//
// No timers of its own: the server calls Sweep a few times a second.
//
// Threads: the event loop's.  Lifetime: shared between the server's list and
// the operations under way; after Close nothing of the server is touched.
#pragma once

#include <memory>

#include "h2/session.h"
#include "net/connection_set.h"
#include "net/io_memory.h"

namespace mlos::h2 {

using net::Socket;

class Connection;

// What a connection needs of its server.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual const Limits& limits() const = 0;
  virtual Acceptor& acceptor() = 0;
  virtual bool ReserveBuffer(const Connection& connection, uint64_t bytes) = 0;
  virtual void ReleaseBuffer(const Connection& connection, uint64_t bytes) = 0;
  virtual void CountReceived(uint64_t bytes) = 0;
  virtual void CountSent(uint64_t bytes) = 0;
  // The connection has closed; called once.
  virtual void OnClosed(Connection& connection, End why) = 0;
};

class Connection final : public SessionOwner,
                         public net::Member,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, ConnectionOwner& owner);
  ~Connection() override;

  void Leave();

  // Member
  void Start() override;
  void Sweep(uint64_t now_ns) override;
  void Drain() override;
  void Close() override;

  // SessionOwner
  void WantWrite() override;
  void WantTurn() override;
  bool Reserve(uint64_t bytes) override;
  void Release(uint64_t bytes) override;

 private:
  struct ReadHandler;
  struct WriteHandler;
  struct TurnHandler;

  void Read();
  void OnRead(const boost::system::error_code& error, size_t bytes);
  void Flush();
  void OnWritable(const boost::system::error_code& error);
  void Linger();
  int Unsent();
  void SweepLingering(uint64_t now_ns);
  template <typename F>
  void Guarded(const F& f);

  Socket socket_;
  ConnectionOwner* owner_;
  bool closed_ = false;
  bool flush_posted_ = false;
  bool turn_posted_ = false;
  bool waiting_to_write_ = false;
  uint64_t linger_until_ns_ = 0;
  int unsent_ = 0;  // when lingering began, or was looked at
  uint64_t give_up_ns_ = 0;
  std::unique_ptr<std::byte[]> in_;
  net::IoMemory read_memory_;
  net::IoMemory write_memory_;
  net::IoMemory post_memory_;
  net::IoMemory turn_memory_;
  Session session_;
};

}  // namespace mlos::h2
