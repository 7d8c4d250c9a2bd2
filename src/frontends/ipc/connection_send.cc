// SPDX-License-Identifier: Apache-2.0
//
// The half of Connection that sends.
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "frontends/ipc/connection.h"
#include "ipc/message.h"

namespace mlos::ipc {
namespace {

// Answers up to this together are not counted, when the socket does not take them.
constexpr uint64_t kSmallAnswer = 64 << 10;
// The system takes as many at once.
constexpr size_t kMostPieces = 1024;
constexpr size_t kKeptBytes = 4 << 10;

}  // namespace

void Connection::Answer(Pending& call, Tell type, std::string_view head,
                        std::span<const std::span<const std::byte>> pieces) {
  const StatusCode code = SendFrame(type, call.number, head, pieces);
  context_.counters.CountAnswer(call.kind, static_cast<size_t>(code));
  Finish(call);
}

void Connection::AnswerWith(Pending& call, Tell type, std::string_view head, OwnedFd descriptor) {
  const StatusCode code = SendFrame(type, call.number, head, {}, std::move(descriptor));
  context_.counters.CountAnswer(call.kind, static_cast<size_t>(code));
  Finish(call);
}

void Connection::Fail(Pending& call, const Status& status, std::string_view hint) {
  context_.counters.CountAnswer(call.kind, static_cast<size_t>(status.code()));
  SendFailure(call.number, status, hint);
  Finish(call);
}

void Connection::SendFailure(uint64_t number, const Status& status, std::string_view hint) {
  text_.Clear();
  Encode(Failure{.code = status.code(), .text = Message(status), .hint = hint}, &text_);
  SendFrame(Tell::kFailure, number, text_.view(), {});
}

// Not OK: what the client is told instead, because the answer is too large to be kept.
StatusCode Connection::SendFrame(Tell type, uint64_t number, std::string_view head,
                                 std::span<const std::span<const std::byte>> pieces,
                                 OwnedFd descriptor) {
  if (closed_) return StatusCode::kOk;
  FrameHeader header{.type = static_cast<uint32_t>(type),
                     .descriptors = descriptor ? 1u : 0u,
                     .call = number,
                     .bytes = head.size()};
  for (const auto& piece : pieces) header.bytes += piece.size();
  const uint64_t whole = sizeof(header) + header.bytes;
  // Failures are small, at most one for each call, and what is said instead of what is too much.
  const bool counted = type != Tell::kFailure && out_.size() + whole > kSmallAnswer;
  if (counted && !context_.Reserve(whole)) {
    SendFailure(number, ResourceExhausted("too many large answers at once: try again"), {});
    return StatusCode::kResourceExhausted;
  }
  gathered_.clear();
  gathered_.push_back({&header, sizeof(header)});
  const auto add = [&](const void* data, size_t size) {
    if (size > 0) gathered_.push_back({const_cast<void*>(data), size});
  };
  add(head.data(), head.size());
  for (const auto& piece : pieces) add(piece.data(), piece.size());
  ssize_t sent = 0;
  if (out_.empty()) sent = SendPieces(gathered_, descriptor.get());
  if (sent < 0 || static_cast<uint64_t>(sent) == whole) {
    if (counted) context_.Unreserve(whole);
    if (sent < 0) End(metrics::IpcEnd::kPeer);
    return StatusCode::kOk;
  }
  if (counted) out_reserved_ += whole;
  if (descriptor && sent == 0) out_descriptors_.push_back({out_.size(), std::move(descriptor)});
  Keep(gathered_, static_cast<size_t>(sent));
  WaitWritable();
  return StatusCode::kOk;
}

// Sent, of as many pieces as can be at once; -1: the client has gone.
ssize_t Connection::SendPieces(std::span<iovec> pieces, int descriptor) {
  msghdr message{};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &descriptor, sizeof descriptor);
  }
  message.msg_iov = pieces.data();
  message.msg_iovlen = std::min(pieces.size(), kMostPieces);
  for (;;) {
    const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      context_.counters.sent_bytes.Add(static_cast<uint64_t>(n));
      return n;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN ? 0 : -1;
  }
}

// All but what is sent.
void Connection::Keep(std::span<const iovec> pieces, size_t sent) {
  if (out_.empty()) {
    out_began_ns_ = NowNanos();
    out_sent_ = 0;
  }
  for (const iovec& piece : pieces) {
    const size_t skip = std::min(sent, piece.iov_len);
    sent -= skip;
    out_.Append({static_cast<const char*>(piece.iov_base) + skip, piece.iov_len - skip});
  }
}

void Connection::WaitWritable() {
  if (closed_ || std::exchange(waits_writable_, true)) return;
  socket_.async_wait(net::Socket::wait_write,
                     boost::asio::bind_allocator(
                         net::IoAllocator<std::byte>(write_memory_),
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->waits_writable_ = false;
                           if (!error) self->Flush();
                         }));
}

void Connection::Flush() {
  if (closed_ || out_.empty()) return;
  // Up to the next descriptor, which goes with the first byte behind it.
  const bool with = !out_descriptors_.empty() && out_descriptors_.front().at == out_at_;
  const size_t next = with ? 1 : 0;
  const size_t end = next < out_descriptors_.size() ? out_descriptors_[next].at : out_.size();
  iovec rest{out_.data() + out_at_, end - out_at_};
  const ssize_t sent =
      SendPieces({&rest, 1}, with ? out_descriptors_.front().descriptor.get() : -1);
  if (sent < 0) return End(metrics::IpcEnd::kPeer);
  if (with && sent > 0) out_descriptors_.pop_front();
  out_at_ += static_cast<size_t>(sent);
  out_sent_ += static_cast<uint64_t>(sent);
  if (out_at_ < out_.size()) return WaitWritable();
  out_.Clear();
  out_.Trim(kKeptBytes);
  out_at_ = 0;
  out_began_ns_ = 0;
  context_.Unreserve(std::exchange(out_reserved_, 0));
  OnReadable();
}

}  // namespace mlos::ipc
