// SPDX-License-Identifier: Apache-2.0
//
// mlos-plugin-host: the process that maps one plugin.  Started by mlosd with a
// control socket as descriptor 3; of no use by hand.
#include <fcntl.h>
#include <sys/socket.h>

#include <cstdio>

#include "plugin_host/host.h"

int main() {
  constexpr int kControlFd = 3;
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    std::fprintf(stderr, "mlos-plugin-host is started by mlosd, not by hand.\n");
    return 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  // Plugins may start programs only if the sandbox lets them; they never
  // inherit this.
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  return mlos::plugin_host::Host(mlos::OwnedFd(kControlFd)).Run();
}
