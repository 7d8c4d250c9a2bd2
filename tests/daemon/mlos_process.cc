// SPDX-License-Identifier: Apache-2.0
#include "mlos_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "daemon_process.h"

namespace mlos::test {
namespace {

// A terminal: what is written to `slave` is read from `master`.
struct Terminal {
  int master = -1;
  int slave = -1;
};

Terminal OpenTerminal() {
  Terminal t;
  t.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  grantpt(t.master);
  unlockpt(t.master);
  t.slave = open(ptsname(t.master), O_RDWR | O_NOCTTY);  // NOLINT(concurrency-mt-unsafe)
  return t;
}

[[noreturn]] void Become(const std::vector<std::string>& args, const MlosOptions& options, int in,
                         int out, int err) {
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  std::vector<const char*> argv{MLOS_PROGRAM};
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  argv.push_back(nullptr);
  std::vector<std::string> environment{"PATH=/usr/bin:/bin"};
  for (const auto& [name, value] : options.environment) {
    environment.emplace_back(name).append("=").append(value);
  }
  std::vector<const char*> envp;
  for (const std::string& variable : environment) envp.push_back(variable.c_str());
  envp.push_back(nullptr);
  if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) _exit(126);
  execve(argv[0], const_cast<char* const*>(argv.data()), const_cast<char* const*>(envp.data()));
  _exit(127);
}

}  // namespace

MlosRun RunMlos(const std::vector<std::string>& args, const MlosOptions& options) {
  const TempDir dir;
  WriteWhole(dir / "in", options.input);
  const int in = open((dir / "in").c_str(), O_RDONLY | O_CLOEXEC);
  const std::string out_path = options.output.empty() ? dir / "out" : options.output;
  const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int err = open((dir / "err").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  Terminal terminal;
  if (options.terminal) terminal = OpenTerminal();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const bool on_terminal = options.terminal;
    Become(args, options, in, on_terminal ? terminal.slave : out,
           on_terminal ? terminal.slave : err);
  }
  for (const int fd : {in, out, err, terminal.slave}) {
    if (fd >= 0) close(fd);
  }
  if (terminal.master >= 0) fcntl(terminal.master, F_SETFL, O_NONBLOCK);
  MlosRun run;
  const auto drain = [&] {
    char buffer[4096];
    ssize_t count = 0;
    while (terminal.master >= 0 && (count = read(terminal.master, buffer, sizeof buffer)) > 0) {
      run.out.append(buffer, static_cast<size_t>(count));
    }
  };
  int status = 0;
  bool interrupted = false;
  const bool ended = WaitUntil([&] {
    drain();
    if (!interrupted && !options.until.empty() &&
        run.out.find(options.until) != std::string::npos) {
      interrupted = SignalOne(pid, SIGINT);
    }
    return waitpid(pid, &status, WNOHANG) == pid;
  });
  if (!ended) {
    SignalOne(pid, SIGKILL);
    waitpid(pid, &status, 0);
  } else {
    run.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  drain();
  if (terminal.master >= 0) {
    close(terminal.master);
  } else {
    run.out = ReadWhole(dir / "out");
    run.err = ReadWhole(dir / "err");
  }
  return run;
}

}  // namespace mlos::test
