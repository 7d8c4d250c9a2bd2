// SPDX-License-Identifier: Apache-2.0
//
// Who is at the other end of a Unix socket, by the kernel's word.
//
// A value; any thread.
#pragma once

#include <sys/types.h>

#include "base/status.h"

namespace mlos::ipc {

// As they were when the other end connected: what it becomes later, or passes
// its socket on to, changes nothing.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;  // of the process that connected; may be another's by now
};

StatusOr<Identity> IdentityOf(int socket);

}  // namespace mlos::ipc
