// SPDX-License-Identifier: Apache-2.0
//
// One client of the local socket: reads frames, begins what they ask for, and
// sends the answers in the order in which they are there.
//
// A client is held up, not buffered for: while an answer waits for it to read, or
// it asks for a call beyond those that it may have, nothing more is read of it.  A
// cancel is no call, and is heard while all of them run.  A message is
// kept once it is larger than what one look at the socket gives, counted, and
// thrown away where there is too much of them.  An answer is sent from where it
// lies; what the socket does not take is copied, so that nobody who reads slowly
// keeps a model's memory.
//
// Threads: the event loop's.  Lifetime: the server's and that of the operations
// under way on its socket.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/owned_fd.h"
#include "frontends/ipc/context.h"
#include "frontends/ipc/infer_call.h"
#include "frontends/ipc/pending.h"
#include "ipc/identity.h"
#include "ipc/wire.h"
#include "metrics/ipc_counters.h"
#include "net/connection_set.h"
#include "net/io_memory.h"

namespace mlos::ipc {

class Connection;

class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  // May be further down the stack.
  virtual void OnClosed(Connection& connection, metrics::IpcEnd why) = 0;
};

class Connection final : public net::Member,
                         private CallOwner,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::Socket socket, Identity who, Context& context, ConnectionOwner& owner);
  ~Connection() override = default;

  // Member
  void Start() override;
  void Close() override;
  // Ends it where the client is too slow.
  void Sweep(uint64_t now) override;
  void Drain() override;

 private:
  // CallOwner
  void Answer(Pending& call, Tell type, std::string_view head,
              std::span<const std::span<const std::byte>> pieces) override;
  void AnswerWith(Pending& call, Tell type, std::string_view head, OwnedFd descriptor) override;
  void Fail(Pending& call, const Status& status, std::string_view hint) override;

  // What one client may have read before others have their turn.
  struct Turn {
    void Charge(uint64_t bytes) { left -= bytes < left ? bytes : left; }

    uint64_t left;
    bool drained = false;  // the socket has no more
  };

  // connection.cc: what arrives
  void WaitReadable();
  void WaitForTheEnd();
  void GoOnLater();
  void OnReadable();
  bool HeldUp() const;
  bool Paused() const;
  bool Quiet() const;
  void GiveBack();
  bool ReadSome(Turn* turn);
  size_t Receive(char* to, size_t room, bool* drained);
  bool TakeFrame(Turn* turn);
  bool TakeHeader(Turn* turn);
  Status CheckFrame() const;
  Status CheckSize() const;
  bool BeginBody();
  void OnFrame();
  void OnHello();
  void StartCall(Ask type);
  std::unique_ptr<Pending> NewCall(Ask type);
  void Cancel(uint64_t number);
  bool Runs(uint64_t number) const;
  void Refuse(const Status& status);
  void FailFrame(const Status& status);
  void Broken(const Status& status);
  void CutOff(metrics::IpcEnd why, const Status& status);
  void End(metrics::IpcEnd why);
  void DropBody();

  // connection_send.cc: what goes
  void SendFailure(uint64_t number, const Status& status, std::string_view hint);
  StatusCode SendFrame(Tell type, uint64_t number, std::string_view head,
                       std::span<const std::span<const std::byte>> pieces,
                       OwnedFd descriptor = OwnedFd());
  ssize_t SendPieces(std::span<iovec> pieces, int descriptor);
  void Keep(std::span<const iovec> pieces, size_t sent);
  void WaitWritable();
  void Flush();
  void Finish(Pending& call);

  net::Socket socket_;
  const Identity who_;
  Context& context_;
  ConnectionOwner& owner_;
  bool welcome_ = false;
  bool closed_ = false;
  std::optional<metrics::IpcEnd> end_;  // why; none: somebody else's wish
  bool draining_ = false;               // it ends once it is quiet
  bool waits_readable_ = false;
  bool waits_writable_ = false;
  bool waits_for_end_ = false;
  bool goes_on_ = false;     // in a turn that is to come
  bool processing_ = false;  // somebody below on the stack reads on
  bool was_paused_ = false;
  bool used_ = false;  // since the last sweep

  Buffer in_;         // as it came
  size_t in_at_ = 0;  // taken of it
  FrameHeader header_;
  bool has_header_ = false;
  Buffer body_;             // of the message, where it is not in in_
  bool body_open_ = false;  // it goes there
  uint64_t body_reserved_ = 0;
  uint64_t skip_ = 0;              // bytes of a refused message that are still to come
  uint64_t message_began_ns_ = 0;  // 0: between two messages
  uint64_t message_bytes_ = 0;     // of it, so far

  std::vector<std::unique_ptr<Pending>> running_;
  std::vector<std::unique_ptr<Pending>> idle_;   // inferences to use again
  std::vector<std::unique_ptr<Pending>> ended_;  // may still be on the stack

  Buffer out_;  // what the socket did not take
  size_t out_at_ = 0;
  // That go with the byte of out_ that stands there.
  struct KeptDescriptor {
    size_t at = 0;
    OwnedFd descriptor;
  };
  std::deque<KeptDescriptor> out_descriptors_;
  uint64_t out_reserved_ = 0;
  uint64_t out_began_ns_ = 0;
  uint64_t out_sent_ = 0;  // since
  Buffer text_;
  std::vector<iovec> gathered_;
  net::IoMemory read_memory_;
  net::IoMemory write_memory_;
  net::IoMemory end_memory_;
};

}  // namespace mlos::ipc
