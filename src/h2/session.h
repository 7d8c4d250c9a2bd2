// SPDX-License-Identifier: Apache-2.0
//
// The server's end of one HTTP/2 connection without its socket: bytes in,
// bytes out, streams in between.  The protocol itself is nghttp2's; what is
// here is the path of the data, and the limits.
//
//   Feed     what has arrived
//   Gather   what is to be sent, as pieces; Advance: so much of it was
//   Sweep    time passes
//
// It ends by itself (`over`): then what Gather still gives is sent and the
// connection is closed.
//
// Threads: the event loop's.  Lifetime: the connection's; destroying it aborts
// all streams.
#pragma once

#include <nghttp2/nghttp2.h>
#include <sys/uio.h>

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "h2/frame_tracker.h"
#include "h2/guard.h"
#include "h2/limits.h"
#include "h2/stream.h"

namespace mlos::h2 {

// What a session needs of its connection.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  // There is something to send, and nobody is about to ask for it.
  virtual void WantWrite() = 0;
  // Session::Turn is wanted, after everybody else's.
  virtual void WantTurn() = 0;
  // Accounts for memory of what is received and answered, over all
  // connections; false when there is too much of it.
  virtual bool Reserve(uint64_t bytes) = 0;
  virtual void Release(uint64_t bytes) = 0;
};

// Why a session ended, to count and to say.
enum class End : uint8_t {
  kNone,      // it has not
  kDrained,   // all is answered and no more was wanted
  kIdle,      // nothing was asked for
  kPeer,      // the client's GOAWAY, or its end
  kProtocol,  // the client does not speak HTTP/2
  kResets,    // limits, from here on
  kIdleFrames,
  kPings,
  kHeaders,
  kMemory,
  kSlow,
};

class Session {
 public:
  Session(SessionOwner& owner, Acceptor& acceptor, const Limits& limits);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Feed(std::span<const std::byte> data);
  // Up to `most` pieces of what is to be sent next; 0: nothing.
  size_t Gather(iovec* out, size_t most);
  void Advance(size_t bytes);
  void Sweep(uint64_t now_ns);
  // For streams that have work left.
  void Turn();

  // Tells the client to go elsewhere with what is new; what comes is served.
  void Leave();
  // No new streams; over when those that run are answered.
  void Drain();
  // The connection is no more: aborts everything.
  void Close();

  bool over() const { return end_ != End::kNone; }
  End end() const { return end_; }
  // A client of another protocol was here: what it said, to answer it.
  bool not_http2() const { return not_http2_; }
  // The client has said something that is HTTP/2, or is not waited for any more.
  bool may_speak() const { return greeted_ || leaving_ || over(); }
  // All that it may have sent is not taken yet: it has to wait.
  bool client_may_send() const;
  // The work that has been done inside of one call took long: what can be left
  // for a turn (Stream::Later) should be.
  bool turn_is_over() const;
  size_t streams() const { return open_streams_; }
  // Memory that the protocol takes, without bodies.
  uint64_t memory() const { return memory_; }
  SessionOwner& owner() { return owner_; }

 private:
  friend class Stream;
  friend struct Callbacks;

  // Enough for one call of the system; more is taken when it is sent.
  static constexpr size_t kBatch = 1 << 20;

  // What our PINGs say, to know which one is answered.
  static constexpr uint8_t kAskText[8] = {'m', 'l', 'o', 's', 'p', 'i', 'n', 'g'};
  static constexpr uint8_t kDrainText[8] = {'m', 'l', 'o', 's', 'l', 'a', 's', 't'};

  // A run of bytes to send: borrowed from a stream, or in copied_.
  struct Segment {
    const char* data;  // null: copied_ from `offset` on
    size_t offset;
    size_t bytes;
    Stream* stream;  // whose memory it is; null: nobody's
  };

  void Open();
  Stream* NewStream(int32_t id);
  void Fill();
  void AppendCopy(const void* data, size_t bytes);
  void TakeBody(Stream& stream, size_t bytes);
  void Tell();
  void NoteWritten(Stream& stream);
  void Retire(Stream& stream);
  void CloseStream(Stream& stream);
  void AbortAll();
  void ReleaseAll();
  void EndWith(End why, uint32_t error_code, std::string_view text);
  void CountReset();
  void Changed();  // outside of Feed: somebody has to write
  void SubmitHead(Stream& stream, std::string_view status, std::span<const Field> fields, bool end);
  void SubmitContinue(Stream& stream);
  void SubmitTrailers(Stream& stream);
  void Resume(Stream& stream);
  void SayGoodbye();
  void CheckEnd();
  void SweepConnection(uint64_t now_ns);
  std::span<const nghttp2_nv> FieldsOf(std::string_view status, std::span<const Field> fields);
  void SweepStreams(uint64_t now_ns);
  uint64_t Allowed(uint64_t bytes) const;
  bool IsSlow(const Stream& stream, uint64_t now_ns) const;
  void Detach(Stream& stream);
  void CopySome();
  bool CopyPieces(Stream& stream);
  void CopySegments(Stream& stream);
  bool AccountOwn();
  void NoteBlock();
  void NoteHollow();

  SessionOwner& owner_;
  Acceptor& acceptor_;
  const Limits& limits_;
  Guard guard_;
  uint64_t memory_ = 0;
  uint64_t reserved_ = 0;  // of it, and of copied_, with the owner
  nghttp2_mem mem_;
  nghttp2_session* session_ = nullptr;

  std::vector<std::unique_ptr<Stream>> streams_;  // open, or not yet done
  std::vector<std::unique_ptr<Stream>> spare_;
  std::vector<Stream*> told_;     // streams that something is to be told
  std::vector<Stream*> later_;    // streams that wait for a turn
  std::vector<Stream*> turn_;     // those that have one now
  std::vector<Stream*> copying_;  // streams whose answer is being copied
  std::vector<nghttp2_nv> names_;
  size_t open_streams_ = 0;

  std::vector<Segment> segments_;
  size_t segment_ = 0;
  Buffer copied_;
  size_t out_bytes_ = 0;
  uint64_t batch_ns_ = 0;     // when segments_ was filled
  uint64_t batch_bytes_ = 0;  // sent of it
  uint64_t body_bytes_ = 0;   // of all answers

  bool busy_ = false;      // inside Feed, Gather or Advance: they write when done
  bool leaving_ = false;   // said that no new streams are wanted
  uint64_t drain_ns_ = 0;  // Drain was called
  bool goodbye_ = false;   // said which stream was the last
  bool failed_ = false;    // the library gave up
  bool not_http2_ = false;
  End end_ = End::kNone;

  uint64_t began_ns_;
  bool greeted_ = false;  // the client has said something that is HTTP/2
  FrameTracker frames_;
  uint64_t hollow_told_ = 0;     // how many of its hollow frames the library has told of
  uint64_t block_ = 0;           // how many heads and trailers have begun
  uint64_t block_since_ns_ = 0;  // one has begun, but not ended
  uint64_t idle_since_ns_;       // no streams
  uint64_t heard_ns_;            // the last byte from the client
  uint64_t asked_ns_ = 0;        // our PING that is not answered yet
  uint64_t progress_ns_ = 0;     // of sending: the last
  uint64_t turn_ns_ = 0;         // Feed, Gather, Advance or Turn was called
};

}  // namespace mlos::h2
