// SPDX-License-Identifier: Apache-2.0
#include "h2/connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <exception>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace mlos::h2 {
namespace {

constexpr size_t kInBytes = 64 << 10;
// Pieces in one call of the system, and such calls before others get a turn.
constexpr size_t kMostGathered = 128;
constexpr int kWritesAtOnce = 16;

// For a client that speaks HTTP/1.1, such as a person's.
constexpr std::string_view kNotHttp2 =
    "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: application/json\r\n"
    "Content-Length: 75\r\nConnection: close\r\n\r\n"
    "{\"error\":\"this port speaks HTTP/2 (gRPC): HTTP/1.1 has a port of its own\"}\n";

}  // namespace

// Completions; each keeps the connection alive.
struct Connection::ReadHandler {
  using allocator_type = net::IoAllocator<void*>;
  std::shared_ptr<Connection> self;
  allocator_type get_allocator() const { return allocator_type(self->read_memory_); }
  void operator()(const boost::system::error_code& error, size_t bytes) {
    self->Guarded([&] { self->OnRead(error, bytes); });
  }
};

struct Connection::WriteHandler {
  using allocator_type = net::IoAllocator<void*>;
  std::shared_ptr<Connection> self;
  net::IoMemory* memory;
  allocator_type get_allocator() const { return allocator_type(*memory); }
  // The socket is writable.
  void operator()(const boost::system::error_code& error) {
    self->Guarded([&] { self->OnWritable(error); });
  }
  // The session has something.
  void operator()() {
    self->flush_posted_ = false;
    self->Guarded([&] { self->Flush(); });
  }
};

struct Connection::TurnHandler {
  using allocator_type = net::IoAllocator<void*>;
  std::shared_ptr<Connection> self;
  allocator_type get_allocator() const { return allocator_type(self->turn_memory_); }
  void operator()() {
    self->turn_posted_ = false;
    if (self->closed_) return;
    self->Guarded([&] {
      self->session_.Turn();
      self->Flush();
    });
  }
};

Connection::Connection(Socket socket, ConnectionOwner& owner)
    : socket_(std::move(socket)),
      owner_(&owner),
      in_(new std::byte[kInBytes]),
      session_(*this, owner.acceptor(), owner.limits()) {}

Connection::~Connection() = default;

void Connection::Start() {
  Guarded([&] {
    Flush();
    if (!closed_) Read();
  });
}

// What is thrown by who serves a stream, or for want of memory, ends this
// connection and no other.
template <typename F>
void Connection::Guarded(const F& f) {
  try {
    f();
  } catch (const std::exception&) {
    Close();
  }
}

void Connection::Leave() {
  Guarded([&] { session_.Leave(); });
}

void Connection::Drain() {
  Guarded([&] { session_.Drain(); });
}

void Connection::Sweep(uint64_t now_ns) {
  if (closed_) return;
  if (linger_until_ns_ != 0) return SweepLingering(now_ns);
  Guarded([&] {
    session_.Sweep(now_ns);
    Flush();
  });
  if (closed_ || !session_.over() || !waiting_to_write_) return;
  // Its last words are for a client that does not read.
  if (give_up_ns_ == 0) give_up_ns_ = now_ns + owner_->limits().linger_ns;
  if (now_ns > give_up_ns_) Close();
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  const End why = session_.over() ? session_.end() : End::kPeer;
  session_.Close();
  boost::system::error_code ignored;
  socket_.close(ignored);
  owner_->OnClosed(*this, why);
  owner_ = nullptr;
}

bool Connection::Reserve(uint64_t bytes) {
  return owner_ != nullptr && owner_->ReserveBuffer(*this, bytes);
}

void Connection::Release(uint64_t bytes) {
  if (owner_ != nullptr) owner_->ReleaseBuffer(*this, bytes);
}

// --------------------------------------------------------------------- input

void Connection::Read() {
  socket_.async_read_some(boost::asio::mutable_buffer(in_.get(), kInBytes),
                          ReadHandler{shared_from_this()});
}

void Connection::OnRead(const boost::system::error_code& error, size_t bytes) {
  if (closed_) return;
  if (error) return Close();
  owner_->CountReceived(bytes);
  if (linger_until_ns_ == 0) {
    session_.Feed({in_.get(), bytes});
    Flush();
  }
  if (!closed_) Read();
}

// -------------------------------------------------------------------- output

void Connection::WantWrite() {
  if (flush_posted_ || waiting_to_write_ || closed_) return;
  flush_posted_ = true;
  boost::asio::post(socket_.get_executor(), WriteHandler{shared_from_this(), &post_memory_});
}

void Connection::WantTurn() {
  if (closed_ || std::exchange(turn_posted_, true)) return;
  boost::asio::post(socket_.get_executor(), TurnHandler{shared_from_this()});
}

void Connection::Flush() {
  if (closed_ || waiting_to_write_ || linger_until_ns_ != 0) return;
  // Nothing of HTTP/2 goes to a client that speaks something else.
  if (session_.not_http2()) return Linger();
  if (!session_.may_speak()) return;
  std::array<iovec, kMostGathered> pieces;
  for (int i = 0; i < kWritesAtOnce; ++i) {
    const size_t count = session_.Gather(pieces.data(), pieces.size());
    if (count == 0) {
      if (session_.over()) Linger();
      return;
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      waiting_to_write_ = true;
      socket_.async_wait(Socket::wait_write, WriteHandler{shared_from_this(), &write_memory_});
      return;
    }
    if (sent < 0) return Close();
    owner_->CountSent(static_cast<uint64_t>(sent));
    session_.Advance(static_cast<size_t>(sent));
  }
  WantWrite();
}

void Connection::OnWritable(const boost::system::error_code& error) {
  if (closed_) return;
  waiting_to_write_ = false;
  if (error) return Close();
  Flush();
}

// Everything is said.  Closed at once, the client would lose it where it has
// sent more than was read.
void Connection::Linger() {
  if (session_.not_http2()) {
    (void)!::send(socket_.native_handle(), kNotHttp2.data(), kNotHttp2.size(),
                  MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  ::shutdown(socket_.native_handle(), SHUT_WR);
  linger_until_ns_ = NowNanos() + owner_->limits().linger_ns;
  unsent_ = Unsent();
}

// Bytes that the system still has to send.
int Connection::Unsent() {
  int bytes = 0;
  return ::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

// It closes by itself when it has everything, and OnRead hears of it; only who
// takes the rest at the rate of an answer is waited for beyond a moment.
void Connection::SweepLingering(uint64_t now_ns) {
  if (now_ns <= linger_until_ns_) return;
  const Limits& limits = owner_->limits();
  const int before = std::exchange(unsent_, Unsent());
  const double least = static_cast<double>(limits.min_bytes_per_second) *
                       static_cast<double>(limits.linger_ns) / kNanosPerSecond;
  if (unsent_ == 0 || before - unsent_ < least) return Close();
  linger_until_ns_ = now_ns + limits.linger_ns;
}

}  // namespace mlos::h2
