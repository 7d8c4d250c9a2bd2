// SPDX-License-Identifier: Apache-2.0
//
// Tells the service manager how the daemon is: the protocol of sd_notify(3),
// a datagram of lines to the socket that NOTIFY_SOCKET names.  Without that
// variable nothing is sent.  A manager that does not listen holds nobody up.
// Any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/owned_fd.h"

namespace mlos::daemon {

class Notifier {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  Notifier();

  void Ready(std::string_view status);  // also the end of a reload
  void Reloading();
  void Stopping(std::string_view status);
  void Alive();  // to the watchdog

  // How often Alive is expected; zero: never.
  std::chrono::microseconds watchdog() const { return watchdog_; }

 private:
  void Send(const std::string& lines);

  std::string address_;  // as the system takes it: a leading NUL for the abstract kind
  OwnedFd socket_;
  std::chrono::microseconds watchdog_{0};
};

}  // namespace mlos::daemon
