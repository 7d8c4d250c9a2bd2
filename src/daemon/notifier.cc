// SPDX-License-Identifier: Apache-2.0
#include "daemon/notifier.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"
#include "options/number.h"

namespace mlos::daemon {
namespace {

std::string Variable(const char* name) {
  const char* value =
      std::getenv(name);  // nothing here ever sets one  NOLINT(concurrency-mt-unsafe)
  return value != nullptr ? value : "";
}

}  // namespace

Notifier::Notifier() {
  std::string address = Variable("NOTIFY_SOCKET");
  if (address.empty()) return;
  if ((address[0] != '/' && address[0] != '@') || address.size() >= sizeof(sockaddr_un::sun_path)) {
    Log(LogLevel::kWarning, "NOTIFY_SOCKET is '{}', which is no socket's path: not used", address);
    return;
  }
  if (address[0] == '@') address[0] = '\0';
  address_ = std::move(address);
  socket_.Reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const std::string pid = Variable("WATCHDOG_PID");
  const auto limit = options::ParseDigits(Variable("WATCHDOG_USEC"));
  if (limit && (pid.empty() || pid == std::to_string(::getpid()))) {
    watchdog_ = std::chrono::microseconds(*limit);
  }
}

void Notifier::Send(const std::string& lines) {
  if (!socket_) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  (void)!::sendto(socket_.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&to), length);
}

void Notifier::Ready(std::string_view status) { Send(fmt::format("READY=1\nSTATUS={}\n", status)); }

void Notifier::Reloading() {
  Send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", NowNanos() / kNanosPerMicro));
}

void Notifier::Stopping(std::string_view status) {
  Send(fmt::format("STOPPING=1\nSTATUS={}\n", status));
}

void Notifier::Alive() { Send("WATCHDOG=1\n"); }

}  // namespace mlos::daemon
