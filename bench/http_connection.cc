// SPDX-License-Identifier: Apache-2.0
#include "http_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace mlos::bench {
namespace {

constexpr size_t kMaxHeadBytes = 16384;

StatusOr<OwnedFd> ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return InvalidArgument("the socket's path is long");
  std::memcpy(address.sun_path, path.data(), path.size());
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus("socket");
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus("connect to " + path);
  }
  return fd;
}

StatusOr<OwnedFd> ConnectTcp(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const size_t colon = text.rfind(':');
  uint16_t port = 0;
  if (colon != std::string::npos) {
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  }
  address.sin_port = htons(port);
  if (port == 0 || ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    return InvalidArgument("address '" + text + "' is neither IPV4:PORT nor unix:PATH");
  }
  OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus("socket");
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus("connect to " + text);
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

// The length that follows "Content-Length:" in an answer's head; its name in any case.
StatusOr<size_t> ContentLength(std::string_view head) {
  constexpr std::string_view kName = "\r\ncontent-length:";
  for (size_t at = 0; at + kName.size() <= head.size(); ++at) {
    if (::strncasecmp(head.data() + at, kName.data(), kName.size()) != 0) continue;
    size_t digits = at + kName.size();
    while (digits < head.size() && head[digits] == ' ') ++digits;
    size_t length = 0;
    const auto end = std::from_chars(head.data() + digits, head.data() + head.size(), length);
    if (end.ec == std::errc()) return length;
  }
  return InvalidArgument("the answer has no Content-Length:\n" + std::string(head));
}

}  // namespace

StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& address,
                                                       const Exchange& exchange) {
  constexpr std::string_view kUnix = "unix:";
  const bool is_unix = address.rfind(kUnix, 0) == 0;
  MLOS_ASSIGN_OR_RETURN(OwnedFd fd,
                        is_unix ? ConnectUnix(address.substr(kUnix.size())) : ConnectTcp(address));
  return std::unique_ptr<Connection>(new Connection(exchange, std::move(fd)));
}

Connection::Connection(const Exchange& exchange, OwnedFd fd)
    : exchange_(exchange),
      fd_(std::move(fd)),
      answer_(kMaxHeadBytes + exchange.expected_body.size()) {}

Status Connection::Begin() {
  sent_ = received_ = total_ = 0;
  begun_ = NowNanos();
  return Send();
}

Status Connection::Send() {
  while (unsent()) {
    const ssize_t n = ::send(fd(), exchange_.request.data() + sent_,
                             exchange_.request.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return OkStatus();
    if (n < 0) return ErrnoStatus("send");
    sent_ += static_cast<size_t>(n);
  }
  return OkStatus();
}

Status Connection::Receive() {
  const ssize_t n =
      ::recv(fd(), answer_.data() + received_, answer_.size() - received_, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return OkStatus();
  if (n < 0) return ErrnoStatus("recv");
  if (n == 0) return Unavailable("the server closed the connection");
  received_ += static_cast<size_t>(n);
  if (total_ == 0) MLOS_RETURN_IF_ERROR(ParseHead());
  if (total_ != 0 && received_ > total_) return Internal("the answer is longer than it says");
  return OkStatus();
}

Status Connection::Verify() const {
  const std::string_view body(answer_.data() + head_, total_ - head_);
  if (body == exchange_.expected_body) return OkStatus();
  size_t at = 0;
  while (body[at] == exchange_.expected_body[at]) ++at;
  return Internal("the answer's body differs from the expected one at byte " + std::to_string(at));
}

Status Connection::ParseHead() {
  const std::string_view text(answer_.data(), received_);
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return received_ < kMaxHeadBytes ? OkStatus() : InvalidArgument("the head has no end");
  }
  head_ = end + 4;
  int status = 0;
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (text.substr(0, kVersion.size()) == kVersion) {
    std::from_chars(text.data() + kVersion.size(), text.data() + end, status);
  }
  MLOS_ASSIGN_OR_RETURN(const size_t length, ContentLength(text.substr(0, head_)));
  if (status != exchange_.expected_status || length != exchange_.expected_body.size()) {
    return Internal("expected status " + std::to_string(exchange_.expected_status) + " and " +
                    std::to_string(exchange_.expected_body.size()) + " bytes, got:\n" +
                    std::string(text.substr(0, 2000)));
  }
  total_ = head_ + length;
  return OkStatus();
}

}  // namespace mlos::bench
