// SPDX-License-Identifier: Apache-2.0
//
// One client's connection: reads requests, hands them to its session one at a
// time, writes answers.  A state machine with at most one system operation
// under way, so pipelined requests wait in the socket and a slow client costs
// nothing but its buffer.
//
// No timers of its own: the server calls Sweep a few times a second, which
// enforces the timeouts and notices clients that left during an inference.
//
// Threads: the event loop's.  Lifetime: shared between the server's list and
// the operation under way; after Close nothing of the server is touched.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <memory>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "frontends/http/answer_packer.h"
#include "frontends/http/exchange.h"
#include "frontends/http/options.h"
#include "frontends/http/request_parser.h"
#include "net/connection_set.h"
#include "net/io_memory.h"

namespace mlos::http {

using net::Socket;

class Connection;

// What a connection needs of its server.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual const HttpOptions& options() const = 0;
  virtual bool leaving() const = 0;           // connections end after their answers
  virtual bool draining() const = 0;          // and idle ones at once
  virtual std::string_view date_field() = 0;  // "Date: …\r\n"
  // Accounts for memory of large bodies and answers; false when there is too
  // much of it, also after TrimIdle of all connections.
  virtual bool ReserveBuffer(uint64_t bytes) = 0;
  virtual void ReleaseBuffer(uint64_t bytes) = 0;
  // An answer that its client does not take may wait where the model wrote it;
  // false: not this one, there are too many already.
  virtual bool HoldAnswer() = 0;
  virtual void ReleaseAnswer() = 0;
  virtual metrics::HttpCounters& counters() = 0;
  // Calls Resume soon, after what else there is to do has had its turn.
  virtual void Later(Connection& connection) = 0;
  // The connection has closed; called once.
  virtual void OnClosed(Connection& connection) = 0;
  virtual void MakeLate(Connection& connection) = 0;  // ConnectionSet's
};

class Connection final : public Exchange,
                         public net::Member,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, ConnectionOwner& owner);
  ~Connection() override;
  void set_session(std::unique_ptr<Session> session) { session_ = std::move(session); }

  // Member.  Where the server drains an idle one closes, a busy one after its
  // answer; a late one gets one answer.
  void Start() override;
  void Sweep(uint64_t now_ns) override;
  void Drain() override;
  void Close() override;

  // Gives back what is kept of the last request, if none is in hand.
  void TrimIdle();
  // Goes on with work that is done in slices.
  void Resume() { Drive(); }

  Response& response() override { return response_; }
  void Send() override;

 private:
  enum class Phase : uint8_t {
    kHead,
    kBody,
    kChunks,
    kUnpacking,  // a compressed body is decompressed
    kHandling,
    kPacking,  // an answer is compressed
    kWriting,
    kLinger,
    kClosed
  };
  enum class Io : uint8_t { kRead, kWritable };
  struct Handler;

  // Each step does what can be done now in the present phase; true: look
  // again, false: wait for the system or for the session.
  void Drive();
  bool Step();
  bool StepHead();
  bool StepBody();
  bool StepChunks();
  bool StepUnpack();
  bool StepPack();
  bool StepWrite();

  bool OnHeadDone(size_t consumed);
  bool BeginBody(uint64_t total);
  bool SayContinue();
  bool TurnedAway(uint64_t to_come);
  void DropUnread(uint64_t bytes);
  bool OnBodyRead(const char* data, uint64_t size);
  bool DispatchBody(const char* data, uint64_t size);
  bool GrowBody();
  bool WaitToWrite();
  bool TakeOverAnswer();
  void EndSession();
  bool FinishRequest();
  bool Account(uint64_t bytes);
  uint64_t KeptBytes() const;
  void BeginLinger();

  bool Refuse(int status, std::string_view text);
  bool RefuseBody();
  void StartResponse();
  bool BeginUnpacking(std::string_view packed);
  bool ReservePlain(uint64_t room);
  bool BeginPacking();
  void EndPacking(bool use);
  void WriteResponse();
  void CountAnswer(int status);
  void OnTimeout();
  void Abort();
  bool PeerHasLeft() const;

  bool MoveInputToFront();  // false: full
  bool Read(char* to, size_t most);
  void OnIo(Io io, const boost::system::error_code& error, size_t bytes);
  void EnterPhase(Phase phase, uint64_t timeout_ns);
  uint64_t TransferTime(uint64_t bytes) const;

  Socket socket_;
  ConnectionOwner* owner_;
  std::unique_ptr<Session> session_;
  RequestParser parser_;

  Phase phase_ = Phase::kHead;
  bool driving_ = false;
  bool head_seen_ = false;     // some of the next request has arrived
  bool used_ = false;          // some request has
  bool head_done_ = false;     // the session knows the request's head
  bool with_session_ = false;  // OnBody was called, neither Sent nor Abandon yet
  bool answered_ = false;      // Send was called
  bool held_ = false;          // the answer waits in the model's memory
  bool close_after_ = false;
  bool http10_ = false;
  bool omit_body_ = false;
  uint64_t phase_start_ns_ = 0;
  uint64_t handling_since_ns_ = 0;  // the session has the body
  uint64_t deadline_ns_ = 0;        // of the phase; 0: none

  // Input: [begin_, end_) of in_ is not consumed yet.  Its capacity is fixed,
  // so views into it stay good while a request is in hand.
  std::unique_ptr<char[]> in_;
  size_t begin_ = 0;
  size_t end_ = 0;

  // The body: in in_ where it fits, else in body_.
  uint64_t body_total_ = 0;
  uint64_t body_limit_ = 0;
  bool body_inline_ = false;
  bool expects_continue_ = false;
  uint64_t unread_ = 0;   // of a body that was refused: what is still to come
  uint64_t dropped_ = 0;  // and what has come since
  Buffer body_;
  // A body that came compressed, decompressed (connection_coding.cc).
  compress::Coding coding_ = compress::Coding::kIdentity;
  std::unique_ptr<compress::Inflater> inflater_;
  uint64_t packed_bytes_ = 0;
  Buffer plain_;
  uint64_t reserved_ = 0;  // accounted with the owner: at least KeptBytes, but for small rests

  // Output: gather_ from gather_at_ on is not sent yet.
  Response response_;
  AnswerPacker packer_;
  Buffer head_out_;
  std::vector<iovec> gather_;
  size_t gather_at_ = 0;
  uint64_t written_ = 0;
  Buffer rest_;  // of an answer whose client takes its time: what is not sent yet

  net::IoMemory io_memory_;
};

}  // namespace mlos::http
