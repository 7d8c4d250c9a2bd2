// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"

namespace mlos::net {
namespace {

constexpr int kBacklog = 1024;
// The system's limit, less the final zero.
constexpr size_t kMostPath = sizeof(sockaddr_un::sun_path) - 1;
// Accepted in one go before other events get their turn.
constexpr int kAcceptAtOnce = 64;
constexpr auto kPauseWithoutDescriptors = std::chrono::milliseconds(100);
// That it waits is said once in this time.
constexpr uint64_t kQuietNs = 10 * kNanosPerSecond;

StatusOr<OwnedFd> NewSocket(int family) {
  OwnedFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus("cannot make a socket");
  return fd;
}

Status Bind(int fd, const sockaddr* address, socklen_t length, std::string_view name) {
  if (::bind(fd, address, length) != 0) {
    return ErrnoStatus("cannot listen on " + std::string(name));
  }
  return OkStatus();
}

Status StartListening(int fd, std::string_view name) {
  if (::listen(fd, kBacklog) != 0) return ErrnoStatus("cannot listen on " + std::string(name));
  return OkStatus();
}

// A socket file that nobody answers on is left over from a process that died.
Status RemoveStale(const sockaddr_un& address, const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return FailedPrecondition("cannot listen on unix:" + path + ": a file of that name exists");
  }
  MLOS_ASSIGN_OR_RETURN(const OwnedFd probe, NewSocket(AF_UNIX));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN) {
    return FailedPrecondition("cannot listen on unix:" + path + ": another program does");
  }
  if (errno == ECONNREFUSED) ::unlink(path.c_str());
  return OkStatus();
}

ino_t InodeOf(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

StatusOr<OwnedFd> OpenUnix(const Address& wanted, std::string* chosen) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, wanted.host.data(), wanted.host.size());
  *chosen = "unix:" + wanted.host;
  MLOS_RETURN_IF_ERROR(RemoveStale(address, wanted.host));
  MLOS_ASSIGN_OR_RETURN(OwnedFd fd, NewSocket(AF_UNIX));
  MLOS_RETURN_IF_ERROR(
      Bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address), *chosen));
  // Before anybody can connect: the file's mode is who may.
  if (::chmod(wanted.host.c_str(), 0600) != 0) return ErrnoStatus("cannot restrict " + *chosen);
  MLOS_RETURN_IF_ERROR(StartListening(fd.get(), *chosen));
  return fd;
}

std::string NameOf(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  char host[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(in6.sin6_port));
  }
  const auto& in4 = reinterpret_cast<const sockaddr_in&>(address);
  ::inet_ntop(AF_INET, &in4.sin_addr, host, sizeof(host));
  return std::string(host) + ":" + std::to_string(ntohs(in4.sin_port));
}

struct AddrInfo {
  addrinfo* list = nullptr;
  ~AddrInfo() {
    if (list != nullptr) ::freeaddrinfo(list);
  }
};

Status Lookup(const Address& wanted, AddrInfo* out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const std::string port = std::to_string(wanted.port);
  const char* host = wanted.host == "*" ? nullptr : wanted.host.c_str();
  const int error = ::getaddrinfo(host, port.c_str(), &hints, &out->list);
  if (error != 0) {
    return InvalidArgument("cannot listen on '" + wanted.host + "': " + ::gai_strerror(error));
  }
  return OkStatus();
}

StatusOr<OwnedFd> OpenTcp(const Address& wanted, std::string* chosen) {
  AddrInfo found;
  MLOS_RETURN_IF_ERROR(Lookup(wanted, &found));
  const addrinfo& first = *found.list;
  MLOS_ASSIGN_OR_RETURN(OwnedFd fd, NewSocket(first.ai_family));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const std::string name = wanted.host + ":" + std::to_string(wanted.port);
  MLOS_RETURN_IF_ERROR(Bind(fd.get(), first.ai_addr, first.ai_addrlen, name));
  MLOS_RETURN_IF_ERROR(StartListening(fd.get(), name));
  *chosen = NameOf(fd.get());
  return fd;
}

}  // namespace

StatusOr<Address> Address::Parse(std::string_view text) {
  const auto bad = [&] {
    return InvalidArgument("'" + std::string(text) +
                           "' is not an address: give HOST:PORT, [v6]:PORT or unix:PATH");
  };
  Address address;
  if (text.substr(0, 5) == "unix:") {
    address.is_unix = true;
    address.host = text.substr(5);
    if (address.host.substr(0, 2) == "//") address.host.erase(0, 2);
    if (address.host.empty() || address.host.find('\0') != std::string::npos) return bad();
    if (address.host.size() > kMostPath) {
      return InvalidArgument("the socket path '" + address.host + "' is longer than " +
                             std::to_string(kMostPath) + " characters");
    }
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return bad();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size()) return bad();
  address.host = host;
  return address;
}

Status Address::CheckLocal() const {
  if (is_unix) return OkStatus();
  AddrInfo found;
  MLOS_RETURN_IF_ERROR(Lookup(*this, &found));
  for (const addrinfo* a = found.list; a != nullptr; a = a->ai_next) {
    bool loopback = false;
    if (a->ai_family == AF_INET) {
      const auto* in4 = reinterpret_cast<const sockaddr_in*>(a->ai_addr);
      loopback = (ntohl(in4->sin_addr.s_addr) >> 24) == 127;
    } else if (a->ai_family == AF_INET6) {
      const auto* in6 = reinterpret_cast<const sockaddr_in6*>(a->ai_addr);
      loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
    if (!loopback) {
      return InvalidArgument(
          "without authentication the daemon listens on loopback addresses and Unix sockets only");
    }
  }
  return OkStatus();
}

// Shared with the operation under way, which may outlive the Listener.
struct Listener::State : std::enable_shared_from_this<Listener::State> {
  State(boost::asio::io_context& io, int listening) : descriptor(io, listening), pause(io) {}

  void Wait() {
    descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (!error) self->Accept();
                          });
  }

  void Accept() {
    if (!AcceptUpTo(kAcceptAtOnce)) return Pause();
    if (descriptor.is_open()) Wait();
  }

  // False: there are no descriptors left.
  bool AcceptUpTo(int most) {
    for (int i = 0; i < most; ++i) {
      sockaddr_storage from{};
      socklen_t length = sizeof(from);
      OwnedFd client(::accept4(descriptor.native_handle(), reinterpret_cast<sockaddr*>(&from),
                               &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!client) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
      }
      if (family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      }
      from.ss_family = static_cast<sa_family_t>(family);  // not said of a client without a name
      const Peer peer = PeerOf(from, client.get());
      on_accept({std::move(client), family, peer});
      if (!descriptor.is_open()) return true;
    }
    return true;
  }

  void Pause() {
    const uint64_t now = NowNanos();
    if (now > quiet_until_ns) {
      quiet_until_ns = now + kQuietNs;
      Log(LogLevel::kWarning,
          "{}: no descriptors left to accept clients, waiting for some to leave; raise the limit "
          "on open files, or allow fewer connections",
          name);
    }
    pause.expires_after(kPauseWithoutDescriptors);
    pause.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && self->descriptor.is_open()) self->Wait();
    });
  }

  boost::asio::posix::stream_descriptor descriptor;
  boost::asio::steady_timer pause;
  OnAccept on_accept;
  int family = 0;
  uint64_t quiet_until_ns = 0;
  std::string name;
  std::string path;  // of a Unix socket: ours to remove, as long as it is this file
  ino_t inode = 0;
};

StatusOr<std::unique_ptr<Listener>> Listener::Open(boost::asio::io_context& io,
                                                   const Address& address, OnAccept on_accept) {
  std::string chosen;
  MLOS_ASSIGN_OR_RETURN(OwnedFd fd,
                        address.is_unix ? OpenUnix(address, &chosen) : OpenTcp(address, &chosen));
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length);
  auto state = std::make_shared<State>(io, fd.Release());
  state->on_accept = std::move(on_accept);
  state->family = bound.ss_family;
  state->name = chosen;
  if (address.is_unix) {
    state->path = address.host;
    state->inode = InodeOf(state->path);
  }
  state->Wait();
  return std::unique_ptr<Listener>(new Listener(std::move(state)));
}

Listener::Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}

Listener::~Listener() {
  boost::system::error_code ignored;
  state_->descriptor.close(ignored);
  state_->pause.cancel();
  if (!state_->path.empty() && InodeOf(state_->path) == state_->inode) {
    ::unlink(state_->path.c_str());
  }
}

void Listener::AcceptWaiting() { state_->AcceptUpTo(kBacklog); }

const std::string& Listener::address() const { return state_->name; }

}  // namespace mlos::net
