// SPDX-License-Identifier: Apache-2.0
#include "frontends/ipc/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "frontends/ipc/open_call.h"
#include "frontends/ipc/small_calls.h"
#include "ipc/message.h"

namespace mlos::ipc {
namespace {

// One look at the socket; a message that fits in it is not counted.
constexpr size_t kReadBytes = 32 << 10;
constexpr uint64_t kSmallMessage = kReadBytes - sizeof(FrameHeader);
// The memory of a large message grows from here on, to twice as much each time.
constexpr uint64_t kFirstBody = 1 << 20;
// Read of one client before others have their turn.
constexpr uint64_t kTurnBytes = 1 << 20;
// What a frame costs of that at least: it is work, too, where it carries nothing.
constexpr uint64_t kLeastFrame = 1 << 10;
// Inferences that are kept for the next.
constexpr size_t kIdleCalls = 2;

metrics::IpcKind KindOf(Ask type) {
  switch (type) {
    case Ask::kServer:
      return metrics::IpcKind::kServer;
    case Ask::kModel:
      return metrics::IpcKind::kModel;
    case Ask::kControl:
      return metrics::IpcKind::kControl;
    case Ask::kInfer:
      return metrics::IpcKind::kInfer;
    case Ask::kOpen:
      return metrics::IpcKind::kOpen;
    case Ask::kHello:
    case Ask::kCancel:
      break;
  }
  return metrics::IpcKind::kUnknown;
}

}  // namespace

Connection::Connection(net::Socket socket, Identity who, Context& context, ConnectionOwner& owner)
    : socket_(std::move(socket)), who_(who), context_(context), owner_(owner) {}

void Connection::Start() {
  message_began_ns_ = NowNanos();  // the handshake has its time, too
  WaitReadable();
}

void Connection::Close() {
  if (std::exchange(closed_, true)) return;
  for (const auto& call : running_) {
    call->Release();
    context_.Unreserve(std::exchange(call->reserved, 0));
  }
  context_.Unreserve(std::exchange(body_reserved_, 0) + std::exchange(out_reserved_, 0));
  boost::system::error_code ignored;
  socket_.close(ignored);
  owner_.OnClosed(*this, end_.value_or(metrics::IpcEnd::kDrained));
}

// The first reason counts.
void Connection::End(metrics::IpcEnd why) {
  if (!end_) end_ = why;
  Close();
}

void Connection::Sweep(uint64_t now) {
  ended_.clear();
  const auto late = [&](uint64_t began_ns, uint64_t bytes) {
    if (began_ns == 0) return false;
    const uint64_t allowed_ns = context_.options.transfer_timeout_ns +
                                bytes / context_.options.min_bytes_per_second * kNanosPerSecond;
    return now > began_ns + allowed_ns;
  };
  // Who is not read from cannot send.
  if (late(out_began_ns_, out_sent_)) return End(metrics::IpcEnd::kSlow);
  if (!Paused() && late(message_began_ns_, message_bytes_)) {
    CutOff(metrics::IpcEnd::kSlow,
           DeadlineExceeded(welcome_ ? "the message did not come within its time"
                                     : "the handshake did not come within its time"));
  }
  if (!std::exchange(used_, false) && !closed_ && Quiet()) GiveBack();
}

// What it has grown to is not counted: who says nothing does not keep it.
void Connection::GiveBack() {
  idle_.clear();
  for (Buffer* buffer : {&in_, &body_, &out_, &text_}) buffer->Trim(0);
  in_at_ = 0;
  gathered_ = {};
}

// What it has sent by now is begun; of what comes whole later, it is told that
// the server goes.
void Connection::Drain() {
  draining_ = true;
  OnReadable();
}

// Nothing runs, nothing waits for the client to read, no message is half there.
bool Connection::Quiet() const {
  return running_.empty() && out_.empty() && in_.size() == in_at_ && !has_header_ && skip_ == 0;
}

// ------------------------------------------------------------------- reading

// What the frame in hand asks for has to wait until another call has ended.
bool Connection::HeldUp() const {
  return has_header_ && header_.type != static_cast<uint32_t>(Ask::kCancel) &&
         running_.size() >= context_.options.max_calls;
}

bool Connection::Paused() const { return !out_.empty() || HeldUp(); }

void Connection::WaitReadable() {
  if (closed_ || std::exchange(waits_readable_, true)) return;
  socket_.async_wait(net::Socket::wait_read,
                     boost::asio::bind_allocator(
                         net::IoAllocator<std::byte>(read_memory_),
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waits_readable_ = false;
                           self->ended_.clear();  // the stack has none of them here
                           if (!error) self->OnReadable();
                         }));
}

// Of a client that is not read from.  What it has sent lies before its end in the
// socket: only that it has closed both directions can be seen from here.
void Connection::WaitForTheEnd() {
  if (closed_ || std::exchange(waits_for_end_, true)) return;
  socket_.async_wait(net::Socket::wait_error,
                     boost::asio::bind_allocator(
                         net::IoAllocator<std::byte>(end_memory_),
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waits_for_end_ = false;
                           // Else it is read from, and found in its place.
                           if (!error && self->HeldUp()) self->End(metrics::IpcEnd::kPeer);
                         }));
}

// The socket need not become readable for it: something was read already.
void Connection::GoOnLater() {
  if (std::exchange(goes_on_, true)) return;
  context_.loop.Post([self = shared_from_this()] {
    self->goes_on_ = false;
    self->OnReadable();
  });
}

// Everything that is there, or as much as one client may have read in one turn.
void Connection::OnReadable() {
  if (closed_ || processing_) return;
  processing_ = true;
  used_ = true;
  if (std::exchange(was_paused_, false) && message_began_ns_ != 0) {
    message_began_ns_ = NowNanos();  // it was we who did not read
    message_bytes_ = 0;
  }
  Turn turn{.left = kTurnBytes};
  // What was read before and not taken comes first.
  while (!closed_ && !Paused() && turn.left > 0 && (TakeFrame(&turn) || ReadSome(&turn))) {
  }
  processing_ = false;
  if (closed_) return;
  if (draining_ && Quiet()) return Close();
  was_paused_ = Paused();
  if (HeldUp()) return WaitForTheEnd();
  if (was_paused_) return;
  if (turn.left == 0) return GoOnLater();
  WaitReadable();
}

// False: there is no more now.
bool Connection::ReadSome(Turn* turn) {
  if (turn->drained) return false;
  char* to = nullptr;
  size_t room = 0;
  if (body_open_) {
    room = std::min<uint64_t>(body_.capacity(), header_.bytes) - body_.size();
    to = body_.Tail(room);
  } else {
    if (skip_ > 0) {
      in_.Clear();
      in_at_ = 0;
    }
    if (in_at_ > 0) {
      const size_t rest = in_.size() - in_at_;
      std::memmove(in_.data(), in_.data() + in_at_, rest);
      in_.Resize(rest);
      in_at_ = 0;
    }
    room = skip_ > 0 ? std::min<uint64_t>(skip_, kReadBytes) : kReadBytes - in_.size();
    to = in_.Tail(room);
  }
  room = std::min<uint64_t>(room, turn->left);
  const size_t got = Receive(to, room, &turn->drained);
  if (got == 0) return false;
  turn->Charge(got);
  if (message_began_ns_ == 0) {
    message_began_ns_ = NowNanos();
    message_bytes_ = 0;
  }
  message_bytes_ += got;
  if (body_open_) {
    body_.Advance(got);
  } else if (skip_ > 0) {
    skip_ -= got;
    if (skip_ == 0) message_began_ns_ = 0;
  } else {
    in_.Advance(got);
  }
  return true;
}

// 0: nothing now, or the end.  Descriptors that a client sends are closed by the
// system, because none are asked for.
size_t Connection::Receive(char* to, size_t room, bool* drained) {
  for (;;) {
    const ssize_t n = ::recv(socket_.native_handle(), to, room, MSG_DONTWAIT);
    if (n > 0) {
      context_.counters.received_bytes.Add(static_cast<uint64_t>(n));
      *drained = static_cast<size_t>(n) < room;
      return static_cast<size_t>(n);
    }
    if (n < 0 && errno == EINTR) continue;
    if (n == 0 || errno != EAGAIN) End(metrics::IpcEnd::kPeer);
    return 0;
  }
}

// A step towards a whole message, which is then begun.  False: more is to be read
// before.
bool Connection::TakeFrame(Turn* turn) {
  if (skip_ > 0) return false;
  if (!has_header_) return TakeHeader(turn);
  const std::string_view rest = in_.view().substr(in_at_);
  if (header_.bytes <= kSmallMessage) {
    if (rest.size() < header_.bytes) return false;
    body_.Clear();
    body_.Append(rest.substr(0, header_.bytes));
    in_at_ += header_.bytes;
  } else if (!BeginBody()) {
    return true;  // it is refused
  } else if (body_.size() < header_.bytes) {
    return false;
  }
  has_header_ = body_open_ = false;
  message_began_ns_ = in_.size() > in_at_ ? NowNanos() : 0;
  message_bytes_ = 0;
  OnFrame();
  body_.Trim(kReadBytes);
  return true;
}

bool Connection::TakeHeader(Turn* turn) {
  if (in_.size() - in_at_ < sizeof(header_)) {
    if (in_.size() == in_at_ && welcome_) message_began_ns_ = 0;
    return false;
  }
  std::memcpy(&header_, in_.data() + in_at_, sizeof(header_));
  in_at_ += sizeof(header_);
  has_header_ = true;
  if (header_.bytes < kLeastFrame) turn->Charge(kLeastFrame - header_.bytes);
  if (const Status sound = CheckFrame(); !sound.ok()) {
    Broken(sound);
  } else if (const Status fits = CheckSize(); !fits.ok()) {
    Refuse(fits);
  }
  return true;
}

// Whether what follows can be understood.
Status Connection::CheckFrame() const {
  const Status sound = CheckHeader(header_);
  if (!welcome_) {
    if (sound.ok() && header_.bytes <= kMostHelloBytes) return OkStatus();
    return InvalidArgument("this is the socket of mlOS's local protocol, which begins otherwise");
  }
  MLOS_RETURN_IF_ERROR(sound);
  if (header_.type == static_cast<uint32_t>(Ask::kCancel)) {
    return header_.bytes == 0 ? OkStatus() : InvalidArgument("a cancel carries something");
  }
  if (header_.call == 0) return InvalidArgument("a call has the number 0");
  if (!Runs(header_.call)) return OkStatus();
  return InvalidArgument("two calls that run have the number " + std::to_string(header_.call));
}

// Only inferences carry much.
Status Connection::CheckSize() const {
  const bool large = header_.type == static_cast<uint32_t>(Ask::kInfer);
  const uint64_t most = large ? context_.options.max_message_bytes : kMostHeadBytes;
  if (header_.bytes <= most) return OkStatus();
  return InvalidArgument("the message has " + std::to_string(header_.bytes) +
                         " bytes, of at most " + std::to_string(most) +
                         (large ? " (--ipc-max-message)" : ""));
}

// Room for what comes next of a large message.  False: there is none, and the
// message is refused.
bool Connection::BeginBody() {
  if (body_open_ && (body_.size() < body_.capacity() || body_.size() == header_.bytes)) {
    return true;
  }
  if (!body_open_) body_.Clear();
  const uint64_t target =
      std::min<uint64_t>(header_.bytes, std::max<uint64_t>(kFirstBody, 2 * body_.size()));
  if (!context_.Reserve(target - body_reserved_)) {
    Refuse(ResourceExhausted("too many large messages at once: try again"));
    return false;
  }
  body_reserved_ = target;
  body_.Reserve(target);
  if (!std::exchange(body_open_, true)) {
    const std::string_view rest = in_.view().substr(in_at_);
    const size_t part = std::min<uint64_t>(rest.size(), header_.bytes);
    body_.Append(rest.substr(0, part));
    in_at_ += part;
  }
  return true;
}

void Connection::DropBody() {
  body_open_ = false;
  body_.Clear();
  body_.Trim(0);
  context_.Unreserve(std::exchange(body_reserved_, 0));
}

// The message, which is not whole, is answered; the rest of it is passed over.
void Connection::Refuse(const Status& status) {
  const uint64_t have = body_open_ ? body_.size() : 0;
  DropBody();
  has_header_ = false;
  skip_ = header_.bytes - have;
  const size_t part = std::min<uint64_t>(in_.size() - in_at_, skip_);
  in_at_ += part;
  skip_ -= part;
  if (skip_ == 0) message_began_ns_ = in_.size() > in_at_ ? NowNanos() : 0;
  FailFrame(status);
}

// What the frame asks is not begun.
void Connection::FailFrame(const Status& status) {
  context_.counters.CountAnswer(KindOf(static_cast<Ask>(header_.type)),
                                static_cast<size_t>(status.code()));
  SendFailure(header_.call, status, {});
}

// Nothing that follows can be understood.
void Connection::Broken(const Status& status) {
  CutOff(welcome_ ? metrics::IpcEnd::kProtocol : metrics::IpcEnd::kHandshake, status);
}

void Connection::CutOff(metrics::IpcEnd why, const Status& status) {
  if (closed_) return;
  end_ = why;  // also where the client does not wait to be told
  Log(LogLevel::kDebug, "a local client (user {}, process {}) is cut off: {}", who_.uid, who_.pid,
      Message(status));
  if (out_.empty()) SendFailure(0, status, {});
  Close();
}

// ------------------------------------------------------------------ messages

void Connection::OnFrame() {
  if (!welcome_) return OnHello();
  const auto type = static_cast<Ask>(header_.type);
  if (type == Ask::kCancel) return Cancel(header_.call);
  StartCall(type);
}

void Connection::OnHello() {
  Hello hello;
  if (header_.type != static_cast<uint32_t>(Ask::kHello)) {
    return Broken(InvalidArgument("the first message is not hello"));
  }
  if (const Status read = Decode(body_.view(), &hello); !read.ok()) return Broken(read);
  const StatusOr<uint32_t> version = AgreeOnVersion(hello);
  if (!version.ok()) return Broken(version.status());
  welcome_ = true;
  Welcome welcome;
  welcome.version = *version;
  welcome.max_calls = context_.options.max_calls;
  welcome.max_message = context_.options.max_message_bytes;
  welcome.uid = who_.uid;
  welcome.server_pid = static_cast<uint32_t>(::getpid());
  welcome.server_version = context_.options.server_version;
  text_.Clear();
  Encode(welcome, &text_);
  SendFrame(Tell::kWelcome, header_.call, text_.view(), {});
}

std::unique_ptr<Pending> Connection::NewCall(Ask type) {
  CallOwner& self = *this;
  if (type == Ask::kOpen) return std::make_unique<OpenCall>(context_, who_, self);
  if (type != Ask::kInfer) return NewSmallCall(type, context_, self);
  if (idle_.empty()) return std::make_unique<InferCall>(context_, self);
  std::unique_ptr<Pending> call = std::move(idle_.back());
  idle_.pop_back();
  return call;
}

void Connection::StartCall(Ask type) {
  std::unique_ptr<Pending> call;
  Status refused;
  if (context_.draining && type != Ask::kServer) {
    refused = Unavailable("the server is shutting down");
  } else if (call = NewCall(type); call == nullptr) {
    refused = Unimplemented("there is no message of type " + std::to_string(header_.type));
  }
  if (!refused.ok()) {
    DropBody();
    return FailFrame(refused);
  }
  call->number = header_.call;
  call->kind = KindOf(type);
  call->reserved = std::exchange(body_reserved_, 0);
  call->place = running_.size();
  Pending& begun = *call;
  running_.push_back(std::move(call));
  begun.Begin(&body_);
}

bool Connection::Runs(uint64_t number) const {
  return std::any_of(running_.begin(), running_.end(),
                     [&](const auto& call) { return call->number == number; });
}

// It may have been answered meanwhile: then there is nothing to say.
void Connection::Cancel(uint64_t number) {
  const auto found = std::find_if(running_.begin(), running_.end(),
                                  [&](const auto& call) { return call->number == number; });
  if (found == running_.end()) return;
  Pending& call = **found;
  call.Release();
  Fail(call, Cancelled("the client has cancelled it"), {});
}

// Its place is free, and the client may be let go on.
void Connection::Finish(Pending& call) {
  if (closed_) return;
  call.Release();
  context_.Unreserve(std::exchange(call.reserved, 0));
  std::unique_ptr<Pending> ended = std::move(running_[call.place]);
  if (ended->place + 1 != running_.size()) {
    running_[ended->place] = std::move(running_.back());
    running_[ended->place]->place = ended->place;
  }
  running_.pop_back();
  if (ended->reusable() && idle_.size() < kIdleCalls) {
    idle_.push_back(std::move(ended));
  } else {
    ended_.push_back(std::move(ended));
  }
  if (processing_) return;
  OnReadable();
}

}  // namespace mlos::ipc
