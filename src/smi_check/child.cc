// SPDX-License-Identifier: Apache-2.0
#include "smi_check/child.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/clock.h"
#include "base/owned_fd.h"

namespace mlos {
namespace {

constexpr size_t kReasonSize = 2048;
constexpr size_t kPhaseSize = 256;
constexpr size_t kTailSize = 4096;

// Shared by parent and child; the child may leave anything in it.
struct Shared {
  std::atomic<uint32_t> is_done;
  uint32_t verdict;
  char reason[kReasonSize];
  char phase[kPhaseSize];
};

void CopyText(char* to, size_t room, std::string_view text) {
  const size_t n = std::min(text.size(), room - 1);
  std::memcpy(to, text.data(), n);
  to[n] = '\0';
}

Verdict VerdictOf(const CheckResult& result) {
  if (result.ok()) return Verdict::kPass;
  return result.status().code() == StatusCode::kUnimplemented ? Verdict::kSkip : Verdict::kFail;
}

std::string_view ReasonOf(const CheckResult& result) {
  return result.ok() ? std::string_view(*result) : Message(result.status());
}

std::string ReadText(const char* from, size_t room) { return {from, ::strnlen(from, room)}; }

[[noreturn]] void RunChild(const std::function<CheckResult(Phase&)>& check, Shared* shared,
                           int output, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::setpgid(0, 0);
  // A crash is to look like one, also under a sanitizer, and to leave no core.
  for (const int sig : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGPIPE}) {
    ::signal(sig, SIG_DFL);
  }
  const rlimit no_core = {0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const OwnedFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  Phase phase(shared->phase);
  const CheckResult result = check(phase);
  CopyText(shared->reason, kReasonSize, ReasonOf(result));
  shared->verdict = static_cast<uint32_t>(VerdictOf(result));
  shared->is_done.store(1, std::memory_order_release);
  std::fflush(nullptr);
  ::_exit(0);
}

// Takes what is in the pipe, but no more than a pipe holds: somebody who writes
// for ever must not keep the tool here.  False at the pipe's end.
bool Drain(int pipe, ChildReport* report) {
  char buffer[16384];
  for (int i = 0; i < 8; ++i) {
    const ssize_t n = ::read(pipe, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    report->output_bytes += static_cast<uint64_t>(n);
    report->output_tail.append(buffer, static_cast<size_t>(n));
    if (report->output_tail.size() > kTailSize) {
      report->output_tail.erase(0, report->output_tail.size() - kTailSize);
    }
  }
  return true;
}

// Waits for the child's end while taking its output; false when time is up.
bool AwaitEnd(int pidfd, int pipe, int timeout_ms, ChildReport* report) {
  const uint64_t deadline = NowNanos() + static_cast<uint64_t>(timeout_ms) * kNanosPerMilli;
  bool is_open = true;
  for (;;) {
    const uint64_t now = NowNanos();
    if (now >= deadline) return false;
    pollfd fds[2] = {{pidfd, POLLIN, 0}, {is_open ? pipe : -1, POLLIN, 0}};
    ::poll(fds, 2, static_cast<int>((deadline - now) / kNanosPerMilli) + 1);
    if (is_open && fds[1].revents != 0) is_open = Drain(pipe, report);
    if (fds[0].revents != 0) return true;
  }
}

std::string SignalName(int sig) {
  const char* name = ::sigabbrev_np(sig);
  const char* what = ::sigdescr_np(sig);
  if (name == nullptr) return fmt::format("signal {}", sig);
  return fmt::format("SIG{} ({})", name, what == nullptr ? "?" : what);
}

void Judge(const Shared& shared, bool in_time, int timeout_ms, int status, ChildReport* report) {
  const std::string phase = ReadText(shared.phase, kPhaseSize);
  report->verdict = Verdict::kFail;
  if (!in_time) {
    report->reason = fmt::format("not done after {} s, in {}", timeout_ms / 1000.0, phase);
  } else if (WIFSIGNALED(status)) {
    report->reason = fmt::format("killed by {} in {}", SignalName(WTERMSIG(status)), phase);
  } else if (shared.is_done.load(std::memory_order_acquire) != 1) {
    report->reason = fmt::format("the plugin ended the process with exit status {} in {}",
                                 WEXITSTATUS(status), phase);
  } else {
    report->reason = ReadText(shared.reason, kReasonSize);
    if (shared.verdict <= static_cast<uint32_t>(Verdict::kSkip)) {
      report->verdict = static_cast<Verdict>(shared.verdict);
    }
  }
}

}  // namespace

void Phase::Set(std::string_view text) { CopyText(text_, kPhaseSize, text); }

ChildReport RunHere(const std::function<CheckResult(Phase&)>& check) {
  char text[kPhaseSize] = "";
  Phase phase(text);
  const CheckResult result = check(phase);
  ChildReport report;
  report.verdict = VerdictOf(result);
  report.reason = ReasonOf(result);
  return report;
}

ChildReport RunInChild(const std::function<CheckResult(Phase&)>& check, int timeout_ms) {
  ChildReport report;
  const auto broken = [&report](std::string_view what) {
    report.reason = std::string(Message(ErrnoStatus(what)));
    return report;
  };
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return broken("cannot map memory for the check");
  auto* shared = new (memory) Shared{};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return broken("cannot make a pipe for the check");
  const OwnedFd from(ends[0]);
  OwnedFd to(ends[1]);
  ::fcntl(from.get(), F_SETFL, O_NONBLOCK);
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return broken("cannot start a process for the check");
  if (child == 0) RunChild(check, shared, to.get(), parent);
  ::setpgid(child, child);  // also here: whoever comes first
  to.Reset();
  // By number: this release's header lacks the extern "C" that C++ needs.
  const OwnedFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  const bool in_time = pidfd && AwaitEnd(pidfd.get(), from.get(), timeout_ms, &report);
  // The whole group: a plugin may have forked.  The child is not reaped yet,
  // so its number is still its own.
  ::kill(-child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  Drain(from.get(), &report);
  Judge(*shared, in_time, timeout_ms, status, &report);
  ::munmap(memory, sizeof(Shared));
  return report;
}

}  // namespace mlos
