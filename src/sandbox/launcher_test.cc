// SPDX-License-Identifier: Apache-2.0
#include "sandbox/launcher.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace mlos::sandbox {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Ended {
  ExitReport report;
  std::string output;
};

Ended WaitFor(const Child& child) {
  Ended ended;
  pollfd p{child.pidfd.get(), POLLIN, 0};
  EXPECT_EQ(1, poll(&p, 1, 10'000));
  char buffer[4096];
  for (ssize_t n; (n = read(child.output.get(), buffer, sizeof buffer)) > 0;) {
    ended.output.append(buffer, static_cast<size_t>(n));
  }
  auto report = Reap(child);
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok()) ended.report = *report;
  return ended;
}

class LauncherTest : public testing::Test {
 protected:
  LauncherTest() {
    int fds[2];
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    mine_ = OwnedFd(fds[0]);
    theirs_ = OwnedFd(fds[1]);
  }
  StatusOr<Child> Shell(const std::string& script) {
    LaunchSpec spec;
    spec.program = "/bin/sh";
    spec.arguments = {"-c", script};
    spec.environment = {"MLOS_GIVEN=yes"};
    spec.control_fd = theirs_.get();
    return Launch(spec);
  }
  OwnedFd mine_;
  OwnedFd theirs_;
};

TEST_F(LauncherTest, GivesTheChildWhatIsNamedAndNothingElse) {
  setenv("MLOS_SECRET", "canary", 1);
  const OwnedFd leak(open("/dev/null", O_RDONLY));  // not close-on-exec
  auto child = Shell("env; ls -l /proc/self/fd; grep NoNewPrivs /proc/self/status; ulimit -c");
  ASSERT_TRUE(child.ok()) << child.status();
  const Ended ended = WaitFor(*child);
  EXPECT_FALSE(ended.report.signalled);
  EXPECT_EQ(0, ended.report.code);
  EXPECT_THAT(ended.output, HasSubstr("MLOS_GIVEN=yes"));
  EXPECT_THAT(ended.output, Not(HasSubstr("canary")));
  EXPECT_THAT(ended.output, HasSubstr("NoNewPrivs:\t1"));
  // 0, 1, 2, the control socket, and the directory that ls itself reads.
  size_t arrows = 0;
  for (size_t at = 0; (at = ended.output.find(" -> ", at)) != std::string::npos; ++at) ++arrows;
  EXPECT_EQ(5u, arrows) << ended.output;
}

TEST_F(LauncherTest, TheControlSocketIsDescriptorThree) {
  auto child = Shell("echo hello >&3");
  ASSERT_TRUE(child.ok());
  char buffer[16] = {};
  ASSERT_EQ(6, read(mine_.get(), buffer, sizeof buffer));
  EXPECT_STREQ("hello\n", buffer);
  WaitFor(*child);
}

TEST_F(LauncherTest, SaysHowItEnded) {
  auto exits = Shell("exit 7");
  ASSERT_TRUE(exits.ok());
  EXPECT_EQ("exited with status 7", ExitText(WaitFor(*exits).report));
  auto dies = Shell("kill -SEGV $$");
  ASSERT_TRUE(dies.ok());
  const ExitReport report = WaitFor(*dies).report;
  EXPECT_TRUE(report.signalled);
  EXPECT_EQ(SIGSEGV, report.code);
  EXPECT_THAT(ExitText(report), HasSubstr("signal 11"));
  EXPECT_GT(report.max_rss_bytes, 0u);
}

TEST_F(LauncherTest, KillTakesTheWholeGroupAndReapSaysStillRunningBefore) {
  auto child = Shell("sleep 100 & echo started; wait");
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(StatusCode::kUnavailable, Reap(*child).status().code());
  pollfd p{child->output.get(), POLLIN, 0};
  ASSERT_EQ(1, poll(&p, 1, 10'000));
  Kill(*child);
  const Ended ended = WaitFor(*child);
  EXPECT_EQ(SIGKILL, ended.report.code);
  // The sleeper held the output's write end; its end is the end of the pipe.
  char byte;
  pollfd end{child->output.get(), POLLIN, 0};
  ASSERT_EQ(1, poll(&end, 1, 10'000));
  EXPECT_EQ(0, read(child->output.get(), &byte, 1));
}

TEST_F(LauncherTest, AProgramThatIsNotThereIsSaidInItsOutput) {
  LaunchSpec spec;
  spec.program = "/nowhere/at/all";
  spec.control_fd = theirs_.get();
  auto child = Launch(spec);
  ASSERT_TRUE(child.ok());
  const Ended ended = WaitFor(*child);
  EXPECT_EQ(127, ended.report.code);
  EXPECT_THAT(ended.output, HasSubstr("cannot be started"));
}

TEST_F(LauncherTest, TheChildDiesWithTheThreadThatStartedIt) {
  StatusOr<Child> child = Unavailable("not started");
  std::thread([&] {
    child = Shell("echo started; exec sleep 100");
    pollfd p{child->output.get(), POLLIN, 0};
    EXPECT_EQ(1, poll(&p, 1, 10'000));
  }).join();
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(SIGKILL, WaitFor(*child).report.code);
}

}  // namespace
}  // namespace mlos::sandbox
