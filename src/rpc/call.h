// SPDX-License-Identifier: Apache-2.0
//
// One call: gRPC on one HTTP/2 stream.
//
//   Method::Begin -> Handler::OnMessage, OnData ..., OnMessageEnd ... OnHalfClose
//   Call::Send -> Handler::OnSent ... -> Call::Finish(status)
//   OnCancel, if nobody wants the answer any more; OnDone, always and last
//
// A method of one request gets exactly one message; the layer sees to that, to
// deadlines, to limits and to compression.
//
// Threads: the event loop's.  Lifetime: a Call is there until Handler::OnDone
// returns, and then used for another one.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "h2/session.h"
#include "rpc/message_reader.h"
#include "rpc/wire.h"

namespace mlos::rpc {

class Call;

// The service's side of a call.  Belongs to its method, which may use it again
// after OnDone.
class Handler : public MessageSink {
 public:
  // No message follows.  Of a method of one request not called.
  virtual void OnHalfClose() {}
  // What was given to Send is sent or copied; the next may come.
  virtual void OnSent() {}
  // Of a slow client, and before OnSent: what was given to Send is copied.
  virtual void OnReleased() {}
  // Everybody else has had a turn since Call::Later.
  virtual void OnTurn() {}
  // Time passes: a few times a second.
  virtual void OnSweep(uint64_t now_ns) { (void)now_ns; }
  // The client is gone or late, or broke a rule: stop.  The call is answered
  // by the layer, if at all.
  virtual void OnCancel() = 0;
  // The last call: nothing that was given to the call is used any more.
  virtual void OnDone() = 0;
};

class Method {
 public:
  virtual ~Method() = default;
  virtual Handler* Begin(Call& call) = 0;
  // Any number of requests, not exactly one.
  virtual bool client_streams() const { return false; }
  // Serves also when the server drains.
  virtual bool while_draining() const { return false; }
};

// Is told how each call is answered, before it is; may add a trailer.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void OnAnswered(Call& call, const Status& status) = 0;
};

// What all calls of a server share.
struct CallContext;

class Call final : public h2::StreamHandler {
 public:
  explicit Call(CallContext& context) : context_(context), sink_(*this) {}

  // ---- what was asked for; views until OnDone
  std::string_view path() const { return head_->path; }
  // The first with this name, or empty; the value of a name with -bin as it
  // was sent (see DecodeBinary).
  std::string_view Metadata(std::string_view name) const;
  std::span<const h2::Field> metadata() const { return head_->fields; }
  uint64_t arrived_ns() const { return arrived_ns_; }
  // Stands for the connection that it comes over.
  const void* connection() const { return &stream_->session(); }
  // CLOCK_MONOTONIC; 0: the client sent none.
  uint64_t deadline_ns() const { return deadline_ns_; }

  // ---- the answer
  // Before the first Send, resp. before Finish.  Copied.
  void AddHeader(std::string_view name, std::string_view value);
  void AddTrailer(std::string_view name, std::string_view value);
  // One message, borrowed until OnReleased or OnSent; one at a time.
  void Send(std::span<const iovec> pieces);
  // Exactly once, unless OnCancel came.
  void Finish(const Status& status);
  bool finished() const { return finished_; }

  // A handler that took less than it was offered takes more.
  void Resume();
  // Work goes on in Handler::OnTurn, when the event loop has looked at everybody else.
  void Later();
  // Accounts for what a handler keeps of large messages, over all connections;
  // given back by itself when the call is done.  False: there is too much.
  bool Reserve(uint64_t bytes);
  void Unreserve(uint64_t bytes);

 private:
  friend class Dispatcher;
  struct TextAt {
    uint32_t name, name_size, value_size;
  };
  // Fields that are added to an answer.
  struct FieldList {
    Buffer text;
    std::vector<TextAt> at;
    std::vector<h2::Field> views;
    void Clear();
    void Add(std::string_view name, std::string_view value);
    std::span<const h2::Field> View();
  };

  // Without a method it is answered `otherwise`.
  void Start(h2::Stream& stream, Method* method, const Status& otherwise);
  bool ReadHead();
  void Refuse(const Status& status);

  // StreamHandler
  void OnData(std::span<const std::byte> data) override;
  void OnEnd() override;
  void OnWritten() override;
  void OnReleased() override;
  void OnTurn() override;
  void OnAborted() override;
  void OnSweep(uint64_t now_ns) override;
  void OnDone() override;

  // Between the reader and the handler.
  class Sink final : public MessageSink {
   public:
    explicit Sink(Call& call) : call_(call) {}
    void OnMessage(std::optional<uint64_t> size) override { call_.BeginMessage(size); }
    size_t OnData(std::span<const std::byte> data) override { return call_.handler_->OnData(data); }
    void OnMessageEnd() override { call_.EndMessage(); }

   private:
    Call& call_;
  };
  void BeginMessage(std::optional<uint64_t> size);
  void EndMessage();

  size_t Feed(std::span<const std::byte> data);
  void EndInput();
  void Respond();
  void Write(uint64_t bytes, bool compressed);
  bool BeginPacking(uint64_t bytes);
  void Pack();
  void EndPacking(bool use);
  void Clear();

  CallContext& context_;
  size_t index_ = 0;  // in the context's list
  h2::Stream* stream_ = nullptr;
  const h2::Head* head_ = nullptr;
  Method* method_ = nullptr;
  Handler* handler_ = nullptr;
  Sink sink_;
  MessageReader reader_;

  uint64_t arrived_ns_ = 0;
  uint64_t deadline_ns_ = 0;
  Coding encoding_ = Coding::kIdentity;         // the client's
  Coding answer_encoding_ = Coding::kIdentity;  // ours
  uint64_t upload_since_ns_ = 0;                // a message is awaited or under way; 0: none
  uint64_t upload_bytes_ = 0;                   // of it
  uint64_t messages_ = 0;
  bool half_closed_ = false;
  bool input_over_ = false;
  bool responded_ = false;
  bool finished_ = false;
  bool cancelled_ = false;
  bool feeding_ = false;       // inside of Feed
  bool unpacking_ = false;     // kUnpackBytes of reserved_ are the reader's
  bool resume_later_ = false;  // what waits has not been offered yet
  bool turn_asked_ = false;    // by the handler

  Buffer pending_;  // arrived, not taken by the handler
  size_t pending_at_ = 0;
  uint64_t reserved_ = 0;

  uint8_t prefix_[5];
  std::vector<iovec> pieces_;
  std::unique_ptr<compress::Deflater> packer_;  // while an answer is compressed
  Buffer compressed_;
  uint64_t pack_bytes_ = 0;    // of the message
  uint64_t pack_left_ = 0;     // of it
  size_t pack_piece_ = 0;      // the one that is read
  size_t pack_at_ = 0;         // read of that
  bool finish_waits_ = false;  // for the compressed message
  FieldList headers_;
  FieldList trailers_;
  std::string message_;
};

}  // namespace mlos::rpc
