// SPDX-License-Identifier: Apache-2.0
#include "ipc/identity.h"

#include <sys/socket.h>

namespace mlos::ipc {

StatusOr<Identity> IdentityOf(int socket) {
  ucred who{};
  socklen_t size = sizeof(who);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
    return ErrnoStatus("cannot ask who the client is");
  }
  return Identity{.uid = who.uid, .gid = who.gid, .pid = who.pid};
}

}  // namespace mlos::ipc
