// SPDX-License-Identifier: Apache-2.0
//
// Who is at the other end of a Unix socket, by the kernel's word.
//
// A value; any thread.
#pragma once

#include <sys/types.h>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::ipc {

// As they were when the other end connected: what it becomes later, or passes
// its socket on to, changes nothing.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;  // of the process that connected; a number may be used again: see HoldProcess
};

StatusOr<Identity> IdentityOf(int socket);

// The process itself: readable once it has ended, and never another one.
// NOT_FOUND: it has ended.  Where the kernel cannot say it by the socket
// (before Linux 6.5) it is found by its number, and `socket` must still be
// connected afterwards for that to be right.
StatusOr<OwnedFd> HoldProcess(int socket);

}  // namespace mlos::ipc
