// SPDX-License-Identifier: Apache-2.0
#include "ipc/identity.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace mlos::ipc {
namespace {

// Since Linux 6.5; the system's headers may be older.
constexpr int kPeerPidfd = 77;

}  // namespace

StatusOr<Identity> IdentityOf(int socket) {
  ucred who{};
  socklen_t size = sizeof(who);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
    return ErrnoStatus("cannot ask who the client is");
  }
  return Identity{.uid = who.uid, .gid = who.gid, .pid = who.pid};
}

StatusOr<OwnedFd> HoldProcess(int socket) {
  int fd = -1;
  socklen_t size = sizeof(fd);
  if (::getsockopt(socket, SOL_SOCKET, kPeerPidfd, &fd, &size) == 0) return OwnedFd(fd);
  if (errno == ESRCH || errno == ENODATA) return NotFound("the client has ended");
  MLOS_ASSIGN_OR_RETURN(const Identity who, IdentityOf(socket));
  // Of another namespace: it has no number here.
  if (who.pid <= 0) return NotFound("the client cannot be seen from here");
  OwnedFd held(static_cast<int>(::syscall(SYS_pidfd_open, who.pid, 0)));
  if (held) return held;
  if (errno == ESRCH) return NotFound("the client has ended");
  return ErrnoStatus("cannot hold the client's process");
}

}  // namespace mlos::ipc
