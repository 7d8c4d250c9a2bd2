// SPDX-License-Identifier: Apache-2.0
#include "ipc/identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/owned_fd.h"

namespace mlos::ipc {
namespace {

struct Pair {
  OwnedFd ours;
  OwnedFd theirs;
};

Pair Connected() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  return {OwnedFd(fds[0]), OwnedFd(fds[1])};
}

TEST(IdentityTest, IsTheKernelsWord) {
  const Pair pair = Connected();
  const auto who = IdentityOf(pair.ours.get());
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(::getuid(), who->uid);
  EXPECT_EQ(::getgid(), who->gid);
  EXPECT_EQ(::getpid(), who->pid);
}

TEST(IdentityTest, OfNoSocketIsAnError) {
  int pipe[2] = {-1, -1};
  ASSERT_EQ(0, ::pipe2(pipe, O_CLOEXEC));
  const OwnedFd in(pipe[0]);
  const OwnedFd out(pipe[1]);
  EXPECT_FALSE(IdentityOf(in.get()).ok());
}

}  // namespace
}  // namespace mlos::ipc
