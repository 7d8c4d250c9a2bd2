// SPDX-License-Identifier: Apache-2.0
#include "client/socket.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "ipc/message.h"

namespace mlos::client {
namespace {

// An answer is a description or a document, not a tensor.
constexpr uint64_t kMostAnswer = 64 << 20;
constexpr int kBacklogPauseMillis = 5;

Status Gone(std::string_view what) {
  return Unavailable(fmt::format("the daemon has ended the connection: {}", what));
}

Status TimeIsUp() { return DeadlineExceeded("the daemon has not answered in time"); }

// At most one descriptor comes with a frame.  The room for one is room for two, because
// it is aligned, and the kernel fills it: what else comes is closed.
void TakeDescriptor(msghdr& message, OwnedFd* descriptor) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
      OwnedFd one(fd);
      if (!*descriptor) *descriptor = std::move(one);
    }
  }
}

}  // namespace

int MillisUntil(uint64_t deadline_ns) {
  if (deadline_ns == kNever) return -1;
  const uint64_t now = NowNanos();
  if (deadline_ns <= now) return 0;
  const uint64_t millis = (deadline_ns - now + kNanosPerMilli - 1) / kNanosPerMilli;
  return static_cast<int>(std::min<uint64_t>(millis, INT_MAX));
}

StatusOr<std::unique_ptr<Socket>> Socket::Connect(const std::string& path, std::string_view token,
                                                  std::string_view name, uint64_t deadline_ns) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof(to.sun_path)) {
    return InvalidArgument(fmt::format("the path of a socket has at most {} bytes: {}",
                                       sizeof(to.sun_path) - 1, path));
  }
  std::memcpy(to.sun_path, path.c_str(), path.size() + 1);
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoStatus("cannot make a socket");
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {  // which says that many wait to be taken
      return Unavailable(
          fmt::format("{}: is mlosd running, and is this the address that it prints "
                      "as \"ipc\"?",
                      Message(ErrnoStatus("cannot connect to " + path))));
    }
    if (MillisUntil(deadline_ns) == 0) return TimeIsUp();
    ::poll(nullptr, 0, kBacklogPauseMillis);
  }
  std::unique_ptr<Socket> socket(new Socket(std::move(fd)));
  MLOS_RETURN_IF_ERROR(socket->Greet(token, name, deadline_ns));
  return socket;
}

Status Socket::Greet(std::string_view token, std::string_view name, uint64_t deadline_ns) {
  ipc::Hello hello;
  hello.token = token;
  hello.client = name;
  Buffer payload;
  Encode(hello, &payload);
  Reply reply;
  MLOS_RETURN_IF_ERROR(
      Ask(ipc::Ask::kHello, payload.view(), ipc::Tell::kWelcome, deadline_ns, &reply));
  ipc::Welcome welcome;
  return Decode(reply.payload.view(), &welcome);
}

bool Socket::broken() {
  char byte = 0;
  if (fd_ && ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) fd_.Reset();
  return !fd_;
}

Status Socket::Ask(ipc::Ask type, std::string_view payload, ipc::Tell expected,
                   uint64_t deadline_ns, Reply* reply) {
  if (!fd_) return Gone("before this was asked");
  if (Status done = Exchange(type, payload, deadline_ns, reply); !done.ok()) {
    fd_.Reset();  // what comes now would be the answer to something else
    return done;
  }
  if (reply->type == expected) return OkStatus();
  ipc::Failure failure;
  if (reply->type != ipc::Tell::kFailure || !Decode(reply->payload.view(), &failure).ok()) {
    fd_.Reset();
    return Internal("the daemon answered with a message that makes no sense here");
  }
  std::string text(failure.text);
  if (!failure.hint.empty()) text += fmt::format(" ({})", failure.hint);
  return MakeStatus(failure.code, text);
}

Status Socket::Exchange(ipc::Ask type, std::string_view payload, uint64_t deadline_ns,
                        Reply* reply) {
  reply->descriptor.Reset();
  const ipc::FrameHeader ask{
      .type = static_cast<uint32_t>(type), .call = ++last_call_, .bytes = payload.size()};
  MLOS_RETURN_IF_ERROR(Send({reinterpret_cast<const char*>(&ask), sizeof(ask)}, deadline_ns));
  MLOS_RETURN_IF_ERROR(Send(payload, deadline_ns));
  ipc::FrameHeader header;
  MLOS_RETURN_IF_ERROR(
      Receive({reinterpret_cast<char*>(&header), sizeof(header)}, deadline_ns, &reply->descriptor));
  MLOS_RETURN_IF_ERROR(ipc::CheckHeader(header, 1));
  // A failure of call 0 is that of the connection.
  if (header.call != last_call_ && header.call != 0) {
    return Internal("the daemon answered a call that was not made");
  }
  if (header.bytes > kMostAnswer) {
    return ResourceExhausted(fmt::format("an answer of {} bytes is too large", header.bytes));
  }
  reply->type = static_cast<ipc::Tell>(header.type);
  reply->payload.Resize(header.bytes);
  return Receive({reply->payload.data(), reply->payload.size()}, deadline_ns, &reply->descriptor);
}

Status Socket::Wait(short events, uint64_t deadline_ns) const {
  const int millis = MillisUntil(deadline_ns);
  pollfd p{fd_.get(), events, 0};
  const int ready = ::poll(&p, 1, millis);
  return ready == 0 && millis >= 0 ? TimeIsUp() : OkStatus();
}

Status Socket::Send(std::string_view bytes, uint64_t deadline_ns) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      MLOS_RETURN_IF_ERROR(Wait(POLLOUT, deadline_ns));
    } else if (errno != EINTR) {
      return Gone(Message(ErrnoStatus("the socket")));
    }
  }
  return OkStatus();
}

Status Socket::Receive(std::span<char> to, uint64_t deadline_ns, OwnedFd* descriptor) {
  while (!to.empty()) {
    iovec piece{to.data(), to.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got > 0) {
      TakeDescriptor(message, descriptor);
      to = to.subspan(static_cast<size_t>(got));
    } else if (got == 0) {
      return Gone("it may have been stopped");
    } else if (errno == EAGAIN) {
      MLOS_RETURN_IF_ERROR(Wait(POLLIN, deadline_ns));
    } else if (errno != EINTR) {
      return Gone(Message(ErrnoStatus("the socket")));
    }
  }
  return OkStatus();
}

}  // namespace mlos::client
