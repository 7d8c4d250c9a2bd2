// SPDX-License-Identifier: Apache-2.0
//
// A connection to the daemon's local socket, for programs that wait: asks one thing
// at a time (docs/ipc.md).
//
// Owns its socket.  One thread.  The daemon is not trusted more than a file is: its
// frames are checked, and what makes no sense ends the connection.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "base/owned_fd.h"
#include "base/status.h"
#include "ipc/wire.h"

namespace mlos::client {

// A time of NowNanos() that never comes.
constexpr uint64_t kNever = UINT64_MAX;

class Socket {
 public:
  struct Reply {
    ipc::Tell type = ipc::Tell::kFailure;
    Buffer payload;
    OwnedFd descriptor;
  };

  // Connects and greets.  UNAVAILABLE: nobody listens at `path`.
  static StatusOr<std::unique_ptr<Socket>> Connect(const std::string& path, std::string_view token,
                                                   std::string_view name, uint64_t deadline_ns);

  // The answer, which is of type `expected`; a failure is returned as its status.
  Status Ask(ipc::Ask type, std::string_view payload, ipc::Tell expected, uint64_t deadline_ns,
             Reply* reply);
  // It can be asked nothing more, or the daemon has closed it meanwhile.
  bool broken();

 private:
  explicit Socket(OwnedFd fd) : fd_(std::move(fd)) {}

  Status Greet(std::string_view token, std::string_view name, uint64_t deadline_ns);
  Status Exchange(ipc::Ask type, std::string_view payload, uint64_t deadline_ns, Reply* reply);
  Status Send(std::string_view bytes, uint64_t deadline_ns);
  Status Receive(std::span<char> to, uint64_t deadline_ns, OwnedFd* descriptor);
  Status Wait(short events, uint64_t deadline_ns) const;

  OwnedFd fd_;
  uint64_t last_call_ = 0;
};

// For poll: so many milliseconds until then, rounded up; -1: no end.
int MillisUntil(uint64_t deadline_ns);

}  // namespace mlos::client
