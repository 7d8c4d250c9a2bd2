// SPDX-License-Identifier: Apache-2.0
//
// One request and its answer, on one stream of an HTTP/2 connection: the line
// between the transport and what is served over it.
//
//   Acceptor::OnRequest -> StreamHandler::OnData ... OnEnd      what the client sends
//   Stream::Respond -> Write -> OnWritten ... -> Finish         what is answered
//   OnAborted, if the stream ends before the answer; OnDone, always and last
//
// Nothing is copied: data is handed over where the socket's reader put it, and
// what is written is sent from where it lies, but for small pieces.
//
// Threads: the event loop's.  Lifetime: a Stream belongs to its session and is
// there until OnDone returns; so is everything that was given to it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"

namespace mlos::h2 {

struct Field {
  std::string_view name;  // in lower case
  std::string_view value;
};

// Views of memory of the stream.
struct Head {
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::span<const Field> fields;  // the others, in the client's order
  // There was more than is allowed; this is the beginning, and its content-type.
  bool too_large = false;
};

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // Part of the body.  Stream::Consume says later or at once how much of it is
  // done with; until then it counts against what the client may send.
  virtual void OnData(std::span<const std::byte> data) = 0;
  // The client has sent everything.
  virtual void OnEnd() = 0;
  // All of the last Write is sent or copied: its memory is free, and the next
  // may come.
  virtual void OnWritten() {}
  // The memory of the last Write is free, because what a slow client has not
  // taken of it was copied; OnWritten still comes.
  virtual void OnReleased() {}
  // The client has reset the stream or is gone, or a limit ended it: stop.
  virtual void OnAborted() = 0;
  // Everybody else has had a turn since Stream::Later.
  virtual void OnTurn() {}
  // Time passes: look at deadlines.
  virtual void OnSweep(uint64_t now_ns) { (void)now_ns; }
  // The stream is no more and none of its memory is used.  The last call.
  virtual void OnDone() = 0;
};

class Session;

class Stream {
 public:
  explicit Stream(Session& session) : session_(session) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  const Head& head() const { return head_; }
  bool closed() const { return closed_; }
  // The client has sent everything.
  bool ended() const { return ended_by_peer_; }
  // Its head has been given.
  bool answered() const { return answered_; }
  Session& session() { return session_; }

  // 100 Continue: the client waits for it with its body.  Before Respond.
  void Continue();
  // The answer's head, once.  With `end` it is the whole answer, and `fields`
  // may be what would otherwise be trailers.  Copied.
  void Respond(int status, std::span<const Field> fields, bool end = false);
  // Goes on with the body.  Borrowed until OnReleased or OnWritten, or OnDone; one at a time.
  void Write(std::span<const iovec> pieces);
  // No more follows but `trailers`, which stay until OnDone.
  void Finish(std::span<const Field> trailers);
  // So many bytes of OnData are done with.
  void Consume(size_t bytes);
  // Work goes on in OnTurn, when the event loop has looked at everybody else.
  void Later();
  // It ended early because of what the client sent: too many of those are an
  // attack, and end the connection.
  void Blame();
  // Ends the stream as it is, with an error code of HTTP/2.
  void Reset(uint32_t error_code);

 private:
  friend class Session;
  friend struct Callbacks;

  void Clear();
  void TakeField(std::string_view name, std::string_view value, uint32_t limit);
  void MakeHead();
  bool writing() const { return queued_ > 0 || in_flight_ > 0; }
  void DropCopy();

  Session& session_;
  StreamHandler* handler_ = nullptr;
  int32_t id_ = 0;
  uint32_t index_ = 0;  // in the session's list

  // The head: offsets into text_ while it grows, then views.
  struct FieldAt {
    uint32_t name, name_size, value, value_size;
  };
  Buffer text_;
  std::vector<FieldAt> field_at_;
  std::vector<Field> fields_;
  Head head_;
  uint64_t head_bytes_ = 0;

  bool has_head_ = false;
  bool has_late_type_ = false;
  bool ended_by_peer_ = false;
  bool answered_ = false;
  bool finished_ = false;  // Finish was called
  bool end_sent_ = false;
  bool closed_ = false;
  bool deferred_ = false;     // the library waits for more to write
  bool told_written_ = true;  // OnWritten has come for the last Write
  bool in_told_list_ = false;
  bool waits_for_turn_ = false;
  bool reset_by_us_ = false;
  std::span<const Field> trailers_;

  uint64_t unconsumed_ = 0;
  std::vector<iovec> pieces_;
  size_t piece_ = 0;          // pieces before it are with the connection
  uint64_t queued_ = 0;       // bytes from piece_ on
  uint32_t in_flight_ = 0;    // borrowed pieces with the connection
  uint64_t write_ns_ = 0;     // when Write was called
  uint64_t progress_ns_ = 0;  // of writing
  uint64_t written_ = 0;      // bytes since Write
  uint64_t sent_before_ = 0;  // of all answers of the connection, when Write was called
  Buffer copy_;               // of what a slow client has not taken
  uint64_t copy_bytes_ = 0;   // accounted for; 0: there is none
  bool copying_ = false;
};

// Who serves the streams of a connection.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  // A request's head is there.  The handler stays until its OnDone.
  virtual StreamHandler* OnRequest(Stream& stream) = 0;
};

}  // namespace mlos::h2
