// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/connection.h"

#include <poll.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <cerrno>

#include "base/clock.h"

namespace mlos::http {
namespace {

// Header and a small body fit; a body that does not gets a buffer of its own.
constexpr size_t kInBytes = 32 << 10;
// A buffer up to this size is not accounted with the owner.
constexpr size_t kUncountedBytes = 64 << 10;
// A request that has run this long is worth a look whether its client is
// still there.
constexpr uint64_t kLookAfterNs = 100 * kNanosPerMilli;
constexpr size_t kMostGathered = 64;
// Room for a body, until more of it has come: who only claims a large one holds
// no more than this, and none of what others may use.
constexpr uint64_t kFirstRoom = kUncountedBytes;
// An answer that waits for its client this long leaves the model's memory.
constexpr uint64_t kHoldAnswerNs = kNanosPerSecond;

// What counts of a buffer among those that are accounted for.
uint64_t Counted(uint64_t bytes) { return bytes > kUncountedBytes ? bytes : 0; }

}  // namespace

// Completion of the one operation under way; keeps the connection alive.
struct Connection::Handler {
  using allocator_type = net::IoAllocator<void*>;
  std::shared_ptr<Connection> self;
  Io io;
  allocator_type get_allocator() const { return allocator_type(self->io_memory_); }
  void operator()(const boost::system::error_code& error, size_t bytes = 0) {
    self->OnIo(io, error, bytes);
  }
};

Connection::Connection(Socket socket, ConnectionOwner& owner)
    : socket_(std::move(socket)),
      owner_(&owner),
      parser_(owner.options().max_header_bytes, owner.options().max_chunks),
      in_(new char[kInBytes + kBodyPadding]) {}

Connection::~Connection() = default;

void Connection::Start() {
  EnterPhase(Phase::kHead, owner_->options().idle_timeout_ns);
  Drive();
}

void Connection::Drive() {
  if (driving_) return;  // a session answers inside OnBody: the loop below goes on
  driving_ = true;
  while (Step()) {
  }
  driving_ = false;
}

bool Connection::Step() {
  switch (phase_) {
    case Phase::kHead:
      return StepHead();
    case Phase::kBody:
      return StepBody();
    case Phase::kChunks:
      return StepChunks();
    case Phase::kUnpacking:
      return StepUnpack();
    case Phase::kHandling:
      if (!answered_) return false;
      StartResponse();
      return true;
    case Phase::kPacking:
      return StepPack();
    case Phase::kWriting:
      return StepWrite();
    case Phase::kLinger:
      return Read(in_.get(), kInBytes);
    case Phase::kClosed:
      return false;
  }
  return false;
}

// ------------------------------------------------------------------- input

bool Connection::StepHead() {
  // Some clients end a request with an empty line too many.
  while (!head_seen_ && begin_ < end_ && (in_[begin_] == '\r' || in_[begin_] == '\n')) ++begin_;
  if (begin_ < end_) {
    size_t consumed = 0;
    switch (parser_.ReadHead({in_.get() + begin_, end_ - begin_}, &consumed)) {
      case RequestParser::Result::kDone:
        return OnHeadDone(consumed);
      case RequestParser::Result::kError:
        return Refuse(parser_.error_status(), parser_.error_text());
      case RequestParser::Result::kNeedMore:
        break;
    }
    if (!head_seen_) {
      head_seen_ = true;
      EnterPhase(Phase::kHead, owner_->options().header_timeout_ns);
    }
    // The parser has taken note of positions that are about to move.
    if (begin_ > 0) parser_.Reset();
  } else if (owner_->draining() && !late()) {
    Close();
    return false;
  }
  if (!MoveInputToFront()) return Refuse(431, "the request's header is larger than allowed");
  return Read(in_.get() + end_, kInBytes - end_);
}

bool Connection::OnHeadDone(size_t consumed) {
  const RequestHead& head = parser_.head();
  head_seen_ = used_ = true;
  http10_ = head.http10;
  close_after_ = !head.keep_alive;
  expects_continue_ = head.expects_continue && !head.http10;
  if (head.host_count > 1 || (head.host_count == 0 && !head.http10)) {
    return Refuse(400, "a request has exactly one Host field");
  }
  if (head.bad_expectation) return Refuse(417, "the only Expect that is met is 100-continue");
  body_limit_ = session_->OnHead(head);
  head_done_ = true;
  coding_ = session_->takes_compressed() ? head.coding : compress::Coding::kIdentity;
  begin_ += consumed;
  body_.Clear();
  if (head.chunked) {
    body_inline_ = false;
    EnterPhase(Phase::kChunks, TransferTime(0));
    // With some of the body here the client has not waited for a word.
    if (begin_ < end_) return true;
    return (expects_continue_ && TurnedAway(0)) || SayContinue();
  }
  return BeginBody(head.content_length);
}

bool Connection::BeginBody(uint64_t total) {
  if (total > body_limit_) return RefuseBody();
  body_total_ = total;
  body_inline_ = total <= kInBytes - begin_;
  const uint64_t here = std::min<uint64_t>(total, end_ - begin_);
  if (here < total && (!body_inline_ || expects_continue_) && TurnedAway(total - here)) return true;
  if (body_inline_) {
    if (total <= end_ - begin_) return OnBodyRead(in_.get() + begin_, total);
  } else {
    EnterPhase(Phase::kBody, TransferTime(0));  // no longer idle
    if (!GrowBody()) return Refuse(503, "too many large requests at once: try again");
    body_.Append({in_.get() + begin_, end_ - begin_});
    begin_ = end_ = 0;
  }
  EnterPhase(Phase::kBody, TransferTime(0));
  return SayContinue();
}

// Room for as much again as has come; false when there is too much of it.
bool Connection::GrowBody() {
  const uint64_t room =
      std::min(body_total_ + kBodyPadding, std::max<uint64_t>(kFirstRoom, 2 * body_.size()));
  if (room <= body_.capacity()) return true;
  if (body_.empty()) body_.Trim(0);  // nothing to be moved
  if (!Account(KeptBytes() - Counted(body_.capacity()) + Counted(room))) return false;
  body_.Reserve(room);
  return true;
}

bool Connection::StepBody() {
  if (body_inline_) {
    if (end_ - begin_ >= body_total_) return OnBodyRead(in_.get() + begin_, body_total_);
    return Read(in_.get() + end_, kInBytes - end_);
  }
  if (body_.size() == body_total_) return OnBodyRead(body_.data(), body_.size());
  deadline_ns_ = phase_start_ns_ + TransferTime(body_.size());
  const uint64_t end = std::min<uint64_t>(body_total_, body_.capacity() - kBodyPadding);
  if (end > body_.size()) return Read(body_.data() + body_.size(), end - body_.size());
  return GrowBody() || Refuse(503, "too many large requests at once: try again");
}

bool Connection::StepChunks() {
  size_t consumed = 0;
  const auto result =
      parser_.ReadChunks({in_.get() + begin_, end_ - begin_}, body_limit_, &body_, &consumed);
  begin_ += consumed;
  if (KeptBytes() > reserved_ && !Account(KeptBytes())) {
    return Refuse(503, "too many large requests at once: try again");
  }
  switch (result) {
    case RequestParser::Result::kDone:
      body_.Tail(kBodyPadding);
      return OnBodyRead(body_.data(), body_.size());
    case RequestParser::Result::kError:
      if (parser_.error_status() == 413) return RefuseBody();
      return Refuse(parser_.error_status(), parser_.error_text());
    case RequestParser::Result::kNeedMore:
      break;
  }
  deadline_ns_ = phase_start_ns_ + TransferTime(body_.size());
  if (!MoveInputToFront()) return Refuse(400, "a chunk's header is longer than allowed");
  return Read(in_.get() + end_, kInBytes - end_);
}

bool Connection::SayContinue() {
  if (!expects_continue_) return true;
  expects_continue_ = false;
  constexpr std::string_view kText = "HTTP/1.1 100 Continue\r\n\r\n";
  // Nothing else is on its way out, so the socket has room for these bytes.
  const ssize_t sent =
      ::send(socket_.native_handle(), kText.data(), kText.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<ssize_t>(kText.size())) return true;
  Close();
  return false;
}

// There is no room for what the body is sent for: that is said now, and neither
// memory nor the client's time is spent on it.
bool Connection::TurnedAway(uint64_t to_come) {
  response_.Clear();
  if (!session_->TurnAway(response_)) return false;
  // Who has asked sends nothing; others go on sending, and what is left unread
  // would take back the answer.
  unread_ = expects_continue_ ? 0 : to_come;
  dropped_ = 0;
  close_after_ = true;
  omit_body_ = session_->head_only();
  StartResponse();
  return true;
}

bool Connection::OnBodyRead(const char* data, uint64_t size) {
  if (coding_ == compress::Coding::kIdentity) return DispatchBody(data, size);
  return BeginUnpacking({data, size});
}

bool Connection::DispatchBody(const char* data, uint64_t size) {
  EnterPhase(Phase::kHandling, 0);
  handling_since_ns_ = phase_start_ns_;
  answered_ = false;
  with_session_ = true;
  response_.Clear();
  session_->OnBody({data, size});
  return true;
}

// ------------------------------------------------------------------ output

void Connection::Send() {
  answered_ = true;
  Drive();
}

bool Connection::Refuse(int status, std::string_view text) {
  response_.Error(status, text);
  response_.retry_after = status == 503;
  close_after_ = true;
  omit_body_ = false;
  StartResponse();
  return true;
}

bool Connection::RefuseBody() {
  response_.Clear();
  session_->RefuseBody(response_);
  close_after_ = true;
  omit_body_ = session_->head_only();
  StartResponse();
  return true;
}

void Connection::CountAnswer(int status) {
  owner_->counters().CountAnswer(head_done_ ? session_->route_class() : metrics::RouteClass::kNone,
                                 status);
}

void Connection::StartResponse() {
  if (with_session_) omit_body_ = session_->head_only();
  if (KeptBytes() > reserved_ && !Account(KeptBytes())) {
    response_.body.Trim(0);
    response_.Error(503, "too many large answers at once: try again");
    response_.retry_after = true;
  }
  if (!BeginPacking()) WriteResponse();
}

void Connection::WriteResponse() {
  close_after_ |= owner_->leaving();
  head_out_.Clear();
  FormatHead(response_,
             {.close = close_after_,
              .keep_alive_10 = http10_,
              .date = owner_->date_field(),
              .context = head_done_ ? session_->context() : nullptr},
             &head_out_);
  CountAnswer(response_.status);
  if (head_done_) session_->Answering(response_, with_session_ ? handling_since_ns_ : 0);
  gather_.clear();
  gather_at_ = 0;
  gather_.push_back({head_out_.data(), head_out_.size()});
  if (!omit_body_) {
    if (!response_.body.empty()) {
      gather_.push_back({response_.body.data(), response_.body.size()});
    }
    for (const auto& blob : response_.blobs) {
      if (blob.empty()) continue;
      gather_.push_back({const_cast<std::byte*>(blob.data()), blob.size()});
    }
  }
  written_ = 0;
  EnterPhase(Phase::kWriting, TransferTime(0));
}

bool Connection::StepWrite() {
  while (gather_at_ < gather_.size()) {
    msghdr message{};
    message.msg_iov = &gather_[gather_at_];
    message.msg_iovlen = std::min(gather_.size() - gather_at_, kMostGathered);
    ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return WaitToWrite();
    if (sent < 0) {
      Close();
      return false;
    }
    owner_->counters().sent_bytes.Add(static_cast<uint64_t>(sent));
    written_ += static_cast<uint64_t>(sent);
    while (sent > 0) {
      iovec& piece = gather_[gather_at_];
      const size_t taken = std::min(static_cast<size_t>(sent), piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + taken;
      piece.iov_len -= taken;
      sent -= static_cast<ssize_t>(taken);
      if (piece.iov_len == 0) ++gather_at_;
    }
  }
  return FinishRequest();
}

// The model has only so many places for answers.  A few may wait there for
// their clients for a moment, which spares them a copy.
bool Connection::WaitToWrite() {
  deadline_ns_ = phase_start_ns_ + TransferTime(written_);
  if (with_session_ && response_.blobs.empty()) EndSession();  // all of it is ours
  if (with_session_ && !held_) {
    held_ = owner_->HoldAnswer();
    if (!held_ && !TakeOverAnswer()) return false;
  }
  socket_.async_wait(Socket::wait_write, Handler{shared_from_this(), Io::kWritable});
  return false;
}

// Copies what is not sent yet and lets the model have its memory back.  False:
// there is no room for it, and the connection is closed.
bool Connection::TakeOverAnswer() {
  uint64_t left = 0;
  for (size_t i = gather_at_; i < gather_.size(); ++i) left += gather_[i].iov_len;
  if (!Account(KeptBytes() + Counted(left))) {
    Abort();
    return false;
  }
  rest_.Reserve(left);
  for (size_t i = gather_at_; i < gather_.size(); ++i) {
    rest_.Append({static_cast<const char*>(gather_[i].iov_base), gather_[i].iov_len});
  }
  gather_.clear();
  gather_at_ = 0;
  gather_.push_back({rest_.data(), rest_.size()});
  response_.blobs.clear();
  EndSession();
  return true;
}

// The session's part in this request is over: its answer is sent, or is ours.
void Connection::EndSession() {
  with_session_ = false;
  if (std::exchange(held_, false)) owner_->ReleaseAnswer();
  session_->Sent();
  if (body_inline_) begin_ += body_total_;
}

bool Connection::FinishRequest() {
  if (with_session_) EndSession();
  rest_.Trim(0);
  if (close_after_) {
    BeginLinger();
    return true;
  }
  body_inline_ = false;
  head_seen_ = false;
  head_done_ = false;
  parser_.Reset();
  EnterPhase(Phase::kHead, owner_->options().idle_timeout_ns);
  return true;
}

// Memory of a large request is kept for the next one, because a stream of them
// would pay for fresh pages each time; it stays accounted for until it is given
// back (TrimIdle).
uint64_t Connection::KeptBytes() const {
  return Counted(body_.capacity()) + Counted(response_.body.capacity()) +
         Counted(rest_.capacity()) + Counted(plain_.capacity()) +
         Counted(packer_.packed().capacity()) + packer_.memory() +
         (inflater_ != nullptr ? compress::Inflater::kMemory : 0);
}

bool Connection::Account(uint64_t bytes) {
  if (bytes > reserved_) {
    if (!owner_->ReserveBuffer(bytes - reserved_)) return false;
  } else if (bytes < reserved_) {
    owner_->ReleaseBuffer(reserved_ - bytes);
  }
  reserved_ = bytes;
  return true;
}

void Connection::TrimIdle() {
  if (phase_ != Phase::kHead && phase_ != Phase::kLinger) return;
  body_.Trim(0);
  response_.body.Trim(0);
  plain_.Trim(0);
  packer_.Trim(0);
  Account(0);
}

// ------------------------------------------------------------ end and time

void Connection::BeginLinger() {
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  if (owner_->leaving()) unread_ = 0;
  EnterPhase(Phase::kLinger, unread_ > 0 ? TransferTime(0) : owner_->options().linger_ns);
  TrimIdle();
}

// What comes of a body that was refused.  It may take as long as one that is
// read, and is no longer than it was said to be.
void Connection::DropUnread(uint64_t bytes) {
  if (unread_ == 0) return;
  dropped_ += bytes;
  unread_ -= std::min(unread_, bytes);
  deadline_ns_ = unread_ > 0 ? phase_start_ns_ + TransferTime(dropped_)
                             : NowNanos() + owner_->options().linger_ns;
}

void Connection::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  if (std::exchange(held_, false)) owner_->ReleaseAnswer();
  if (with_session_) {
    with_session_ = false;
    session_->Abandon();
  }
  Account(0);
  boost::system::error_code ignored;
  socket_.close(ignored);
  std::exchange(owner_, nullptr)->OnClosed(*this);
}

void Connection::Drain() {
  if (phase_ == Phase::kLinger && unread_ > 0) {
    unread_ = 0;
    deadline_ns_ = NowNanos() + owner_->options().linger_ns;
  }
  if (phase_ != Phase::kHead || head_seen_ || begin_ != end_) return;
  // What has arrived and was not looked at yet is a request like any other.
  boost::system::error_code error;
  if (socket_.available(error) != 0 && !error) return;
  // One on which nothing has come yet is a client that is about to ask.
  used_ ? Close() : owner_->MakeLate(*this);
}

void Connection::Sweep(uint64_t now_ns) {
  if (phase_ == Phase::kHandling || phase_ == Phase::kUnpacking || phase_ == Phase::kPacking) {
    if (now_ns > phase_start_ns_ + kLookAfterNs && PeerHasLeft()) Close();
    return;
  }
  if (deadline_ns_ != 0 && now_ns > deadline_ns_) return OnTimeout();
  if (held_ && now_ns > phase_start_ns_ + kHoldAnswerNs) {
    TakeOverAnswer();
    return;
  }
  if (phase_ == Phase::kHead && now_ns > phase_start_ns_ + kNanosPerSecond) TrimIdle();
}

// The client takes nothing more: what the system has for it goes at once,
// where it would otherwise be kept for minutes.
void Connection::Abort() {
  const linger at_once{1, 0};
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  Close();
}

void Connection::OnTimeout() {
  if (phase_ == Phase::kWriting) return Abort();
  const bool in_request =
      phase_ == Phase::kBody || phase_ == Phase::kChunks || (phase_ == Phase::kHead && head_seen_);
  if (in_request) {
    // A read is under way, so this is said in one breath or not at all.
    response_.Error(408, "the request took too long to arrive");
    head_out_.Clear();
    FormatHead(response_, {.close = true, .date = owner_->date_field()}, &head_out_);
    head_out_.Append(response_.body.view());
    const ssize_t sent = ::send(socket_.native_handle(), head_out_.data(), head_out_.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) ::shutdown(socket_.native_handle(), SHUT_WR);
    CountAnswer(408);
  }
  Close();
}

bool Connection::PeerHasLeft() const {
  pollfd look{const_cast<Socket&>(socket_).native_handle(), POLLRDHUP, 0};
  return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// ---------------------------------------------------------------------- io

bool Connection::MoveInputToFront() {
  if (begin_ > 0) {
    std::memmove(in_.get(), in_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return end_ < kInBytes;
}

bool Connection::Read(char* to, size_t most) {
  socket_.async_read_some(boost::asio::mutable_buffer(to, most),
                          Handler{shared_from_this(), Io::kRead});
  return false;
}

void Connection::OnIo(Io io, const boost::system::error_code& error, size_t bytes) {
  if (phase_ == Phase::kClosed) return;
  if (error) return Close();
  if (io == Io::kRead) {
    owner_->counters().received_bytes.Add(bytes);
    if (phase_ == Phase::kBody && !body_inline_) {
      body_.Advance(bytes);
    } else if (phase_ == Phase::kLinger) {
      DropUnread(bytes);
    } else {
      end_ += bytes;
    }
  }
  Drive();
}

void Connection::EnterPhase(Phase phase, uint64_t timeout_ns) {
  phase_ = phase;
  phase_start_ns_ = NowNanos();
  deadline_ns_ = timeout_ns == 0 ? 0 : phase_start_ns_ + timeout_ns;
}

uint64_t Connection::TransferTime(uint64_t bytes) const {
  const HttpOptions& options = owner_->options();
  return options.transfer_timeout_ns +
         bytes * kNanosPerSecond / std::max<uint64_t>(options.min_bytes_per_second, 1);
}

}  // namespace mlos::http
