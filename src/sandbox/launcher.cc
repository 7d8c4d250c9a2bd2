// SPDX-License-Identifier: Apache-2.0
#include "sandbox/launcher.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mlos::sandbox {
namespace {

constexpr int kControlFd = 3;

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// Between fork and exec: only system calls, nothing that allocates or locks.
[[noreturn]] void BecomeChild(const char* program, char* const* argv, char* const* env,
                              int control_fd, int output_fd, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before we asked
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // RLIMIT_NOFILE stays as the daemon raised it: a host holds every file of every model that it
  // has loaded, and one that cannot take another descriptor loses its link, and all of them.
  // Above everything we are about to overwrite, then down.
  const int control = fcntl(control_fd, F_DUPFD, 10);
  const int output = fcntl(output_fd, F_DUPFD, 10);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(output, 1);
  dup2(output, 2);
  dup2(control, kControlFd);
  syscall(SYS_close_range, kControlFd + 1, ~0u, 0);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  for (int s = 1; s < NSIG; ++s) signal(s, SIG_DFL);
  execve(program, argv, env);
  constexpr char kText[] = "the plugin host program cannot be started\n";
  if (write(2, kText, sizeof kText - 1) < 0) _exit(126);
  _exit(127);
}

uint64_t Nanos(const timeval& t) {
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_usec) * 1000;
}

}  // namespace

StatusOr<Child> Launch(const LaunchSpec& spec) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return ErrnoStatus("a pipe for the child's output");
  OwnedFd read_end(pipe_fds[0]);
  OwnedFd write_end(pipe_fds[1]);
  fcntl(read_end.get(), F_SETFL, O_NONBLOCK);

  std::vector<std::string> arguments = spec.arguments;
  arguments.insert(arguments.begin(), spec.program);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> env = Pointers(spec.environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoStatus("a process for the plugin host");
  if (pid == 0) {
    BecomeChild(spec.program.c_str(), argv.data(), env.data(), spec.control_fd, write_end.get(),
                parent);
  }
  Child child;
  child.pid = pid;
  child.output = std::move(read_end);
  child.pidfd = OwnedFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd) {
    const Status status = ErrnoStatus("a handle on the plugin host's process");
    ::kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return status;
  }
  return child;
}

std::string ExitText(const ExitReport& r) {
  if (!r.signalled) return fmt::format("exited with status {}", r.code);
  const char* description = sigdescr_np(r.code);
  return fmt::format("was killed by signal {} ({})", r.code,
                     description != nullptr ? description : "unknown");
}

StatusOr<ExitReport> Reap(const Child& child) {
  int status = 0;
  rusage usage{};
  const pid_t got = wait4(child.pid, &status, WNOHANG, &usage);
  if (got == 0) return Unavailable("the process still runs");
  if (got < 0) return ErrnoStatus("wait for the plugin host");
  ExitReport report;
  report.signalled = WIFSIGNALED(status);
  report.code = report.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
  report.core_dumped = report.signalled && WCOREDUMP(status);
  report.max_rss_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  report.cpu_ns = Nanos(usage.ru_utime) + Nanos(usage.ru_stime);
  return report;
}

void Kill(const Child& child) {
  if (child.pid > 0) ::kill(-child.pid, SIGKILL);
  if (child.pidfd) syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0);
}

}  // namespace mlos::sandbox
