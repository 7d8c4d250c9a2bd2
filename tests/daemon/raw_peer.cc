// SPDX-License-Identifier: Apache-2.0
#include "raw_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

namespace mlos::test {
namespace {

constexpr int kPatienceSeconds = 60;

int Connected(int fd, const sockaddr* to, socklen_t size) {
  if (fd >= 0 && connect(fd, to, size) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

int ConnectUnix(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  return Connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                   reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

int ConnectTcp(const std::string& address, int receive_buffer) {
  const size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  uint16_t port = 0;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  to.sin_port = htons(port);
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (receive_buffer > 0) {  // before the connection: the window is agreed on with it
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  return Connected(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

}  // namespace

RawPeer::RawPeer(const std::string& address, int receive_buffer)
    : fd_(address.rfind("unix:", 0) == 0 ? ConnectUnix(address.substr(5))
                                         : ConnectTcp(address, receive_buffer)) {
  const timeval patience{kPatienceSeconds, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

RawPeer::RawPeer(RawPeer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

void RawPeer::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool RawPeer::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool RawPeer::Trickle(std::string_view bytes) {
  return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ||
         errno == EAGAIN || errno == EINTR;
}

std::string RawPeer::ReadSome() {
  std::string piece(65536, '\0');
  ssize_t n = 0;
  do {
    n = recv(fd_, piece.data(), piece.size(), 0);
  } while (n < 0 && errno == EINTR);
  piece.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return piece;
}

std::string RawPeer::ReadToEnd() {
  std::string all;
  for (std::string piece = ReadSome(); !piece.empty(); piece = ReadSome()) all += piece;
  return all;
}

bool RawPeer::HungUp() const {
  pollfd look{fd_, POLLRDHUP, 0};
  return fd_ < 0 || (poll(&look, 1, 0) > 0 && look.revents != 0);
}

std::vector<int> Statuses(std::string_view stream) {
  std::vector<int> out;
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  while (!stream.empty()) {
    const size_t end = stream.find("\r\n\r\n");
    if (stream.substr(0, kVersion.size()) != kVersion || end == std::string_view::npos) {
      out.push_back(-1);
      return out;
    }
    const std::string_view head = stream.substr(0, end + 2);
    std::from_chars(head.data() + kVersion.size(), head.data() + head.size(), out.emplace_back());
    size_t size = 0;
    if (const size_t at = head.find(kLength); at != std::string_view::npos) {
      std::from_chars(head.data() + at + kLength.size(), head.data() + head.size(), size);
    }
    if (stream.size() - end - 4 < size) {
      out.push_back(-1);
      return out;
    }
    stream.remove_prefix(end + 4 + size);
  }
  return out;
}

}  // namespace mlos::test
