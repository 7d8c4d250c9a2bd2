// SPDX-License-Identifier: Apache-2.0
#include "hostlink/link.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace mlos::hostlink {
namespace {

constexpr size_t kMaxQueued = 4 * size_t{kMaxPayload};
constexpr size_t kReadChunk = 64 << 10;
constexpr int kReadsPerCall = 16;

Status Broken(std::string_view what) { return InvalidArgument(what); }

}  // namespace

Link::Link(OwnedFd socket, Descriptors descriptors)
    : socket_(std::move(socket)), descriptors_(descriptors) {
  const int flags = fcntl(socket_.get(), F_GETFL);
  fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);
}

Status Link::Enqueue(Frame frame) {
  if (frame.payload.size() > kMaxPayload || frame.fds.size() > kMaxFds) {
    return ResourceExhausted("a control message is larger than the link takes");
  }
  if (outgoing_bytes_ > kMaxQueued) {
    return ResourceExhausted("the other end of the control link does not read");
  }
  Header header;
  header.length = static_cast<uint32_t>(frame.payload.size());
  header.type = frame.type;
  header.id = frame.id;
  header.fds = static_cast<uint32_t>(frame.fds.size());
  Outgoing out;
  out.bytes.assign(reinterpret_cast<const char*>(&header), sizeof header);
  out.bytes += frame.payload;
  out.fds = std::move(frame.fds);
  outgoing_bytes_ += out.bytes.size();
  outgoing_.push_back(std::move(out));
  return OkStatus();
}

StatusOr<bool> Link::Flush() {
  while (!outgoing_.empty()) {
    Outgoing& out = outgoing_.front();
    iovec iov{out.bytes.data() + out.sent, out.bytes.size() - out.sent};
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    if (!out.fds.empty()) {  // with the first byte that goes out
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(sizeof(int) * out.fds.size());
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int) * out.fds.size());
      for (size_t i = 0; i < out.fds.size(); ++i) {
        const int fd = out.fds[i].get();
        std::memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof fd);
      }
    }
    const ssize_t n = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return false;
      return ErrnoStatus("control link", errno == EPIPE ? EAGAIN : errno);
    }
    out.fds.clear();
    out.sent += static_cast<size_t>(n);
    if (out.sent == out.bytes.size()) {
      outgoing_bytes_ -= out.bytes.size();
      outgoing_.pop_front();
    }
  }
  return true;
}

Status Link::Send(Frame frame) {
  MLOS_RETURN_IF_ERROR(Enqueue(std::move(frame)));
  for (;;) {
    MLOS_ASSIGN_OR_RETURN(const bool done, Flush());
    if (done) return OkStatus();
    pollfd p{socket_.get(), POLLOUT, 0};
    poll(&p, 1, -1);
  }
}

Status Link::Receive(std::vector<Frame>* out) {
  for (int reads = 0; reads < kReadsPerCall; ++reads) {
    const size_t old = incoming_.size();
    incoming_.resize(old + kReadChunk);
    iovec iov{incoming_.data() + old, kReadChunk};
    msghdr message{};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    if (descriptors_ != Descriptors::kRefused) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
    }
    const ssize_t n = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const int error = errno;
    incoming_.resize(old + (n > 0 ? static_cast<size_t>(n) : 0));
    if (n < 0) {
      if (error == EINTR) continue;
      if (error == EAGAIN) return ParseFrames(out);
      return Unavailable("the control link broke");
    }
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
        incoming_fds_.emplace_back(fd);
      }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0 || incoming_fds_.size() > most_waiting()) {
      return Broken("the other end of the control link sent too many descriptors");
    }
    MLOS_RETURN_IF_ERROR(ParseFrames(out));
    if (n == 0) return Unavailable("the other end of the control link has closed");
  }
  return OkStatus();
}

Status Link::ParseFrames(std::vector<Frame>* out) {
  size_t at = 0;
  while (incoming_.size() - at >= sizeof(Header)) {
    Header header;
    std::memcpy(&header, incoming_.data() + at, sizeof header);
    if (header.length > most_payload() || header.fds > most_fds()) {
      return Broken("the other end of the control link sent a message out of bounds");
    }
    if (incoming_.size() - at < sizeof header + header.length) break;
    if (incoming_fds_.size() < header.fds) {
      return Broken("the other end of the control link sent fewer descriptors than announced");
    }
    Frame frame;
    frame.type = header.type;
    frame.id = header.id;
    frame.payload = incoming_.substr(at + sizeof header, header.length);
    for (uint32_t i = 0; i < header.fds; ++i) {
      frame.fds.push_back(std::move(incoming_fds_.front()));
      incoming_fds_.pop_front();
    }
    out->push_back(std::move(frame));
    at += sizeof header + header.length;
  }
  incoming_.erase(0, at);
  return OkStatus();
}

}  // namespace mlos::hostlink
