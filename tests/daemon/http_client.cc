// SPDX-License-Identifier: Apache-2.0
#include "http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace mlos::test {
namespace {

// No test waits longer for a byte: a server that hangs is a failure.
constexpr int kPatienceSeconds = 60;

std::string Lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

}  // namespace

std::string Reply::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

HttpClient::HttpClient(HttpClient&& other) noexcept
    : address_(std::move(other.address_)),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)) {}

void HttpClient::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  buffer_.clear();
}

bool HttpClient::Connect() {
  if (fd_ >= 0) {
    // Has the server closed it since the last answer?
    char byte = 0;
    const ssize_t n = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EAGAIN)) return true;
    Close();
  }
  const timeval patience{kPatienceSeconds, 0};
  int result = -1;
  if (address_.rfind("unix:", 0) == 0) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    address_.copy(to.sun_path, sizeof to.sun_path - 1, 5);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    result = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  } else {
    const size_t colon = address_.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    uint16_t port = 0;
    std::from_chars(address_.data() + colon + 1, address_.data() + address_.size(), port);
    to.sin_port = htons(port);
    inet_pton(AF_INET, address_.substr(0, colon).c_str(), &to.sin_addr);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    result = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (result != 0) Close();
  return result == 0;
}

bool HttpClient::WriteAll(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool HttpClient::Write(std::string_view method, std::string_view target, std::string_view body,
                       const Headers& headers) {
  if (!Connect()) return false;
  std::string head;
  head.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n");
  bool has_length = false;
  for (const auto& [name, value] : headers) {
    head.append(name).append(": ").append(value).append("\r\n");
    has_length |= Lower(name) == "content-length" || Lower(name) == "transfer-encoding";
  }
  if (!has_length && (!body.empty() || method == "POST")) {
    head.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  head.append("\r\n");
  // A server may refuse a body before it has all of it: its answer is read all the same.
  if (body.size() < 4096) return WriteAll(head.append(body));
  return WriteAll(head) && WriteAll(body);
}

bool HttpClient::ReadMore() {
  char bytes[65536];
  ssize_t n = 0;
  do {
    n = recv(fd_, bytes, sizeof bytes, 0);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(n));
  return true;
}

Reply HttpClient::Failed(std::string why) {
  Close();
  Reply reply;
  reply.body = std::move(why);
  return reply;
}

bool HttpClient::ReadContinue() {
  constexpr std::string_view kEnd = "\r\n\r\n";
  size_t end = 0;
  while ((end = buffer_.find(kEnd)) == std::string::npos) {
    if (!ReadMore()) return false;
  }
  const bool goes_on = buffer_.starts_with("HTTP/1.1 100 ");
  buffer_.erase(0, end + kEnd.size());
  return goes_on;
}

Reply HttpClient::Read(bool head_only) {
  if (fd_ < 0) return Failed("not connected");
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore()) return Failed("the connection ended before an answer");
  }
  Reply reply;
  std::string_view head(buffer_.data(), end);
  if (head.substr(0, 9) != "HTTP/1.1 ") return Failed("not an HTTP/1.1 answer: " + buffer_);
  std::from_chars(head.data() + 9, head.data() + 12, reply.status);
  while (!head.empty()) {
    const size_t line_end = head.find("\r\n");
    const std::string_view line = head.substr(0, line_end);
    if (const size_t colon = line.find(": "); colon != std::string_view::npos) {
      reply.headers.emplace_back(Lower(line.substr(0, colon)), line.substr(colon + 2));
    }
    head.remove_prefix(line_end == std::string_view::npos ? head.size() : line_end + 2);
  }
  const std::string length = reply.Header("content-length");
  size_t size = 0;
  std::from_chars(length.data(), length.data() + length.size(), size);
  buffer_.erase(0, end + 4);
  if (head_only) size = 0;
  while (buffer_.size() < size) {
    if (!ReadMore()) return Failed("the connection ended in the middle of an answer");
  }
  reply.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  if (Lower(reply.Header("connection")) == "close") Close();
  return reply;
}

Reply HttpClient::Send(std::string_view method, std::string_view target, std::string_view body,
                       const Headers& headers) {
  if (!Write(method, target, body, headers) && fd_ < 0) return Failed("cannot connect");
  return Read(method == "HEAD");
}

}  // namespace mlos::test
