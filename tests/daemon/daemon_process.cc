// SPDX-License-Identifier: Apache-2.0
#include "daemon_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

namespace mlos::test {
namespace fs = std::filesystem;

bool WaitUntil(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    poll(nullptr, 0, 2);  // leaves the processor to those that are waited for
  }
  return true;
}

TempDir::TempDir(const std::string& parent) {
  std::string pattern = parent + "/mlosd-test-XXXXXX";
  path_ = mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void WriteWhole(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

bool IsAlive(pid_t pid) {
  const std::string stat = ReadWhole("/proc/" + std::to_string(pid) + "/stat");
  const size_t paren = stat.rfind(") ");
  return paren != std::string::npos && stat[paren + 2] != 'Z' && stat[paren + 2] != 'X';
}

bool SignalOne(pid_t pid, int number) { return pid > 1 && kill(pid, number) == 0; }

size_t CountFds(pid_t pid) {
  std::error_code error;
  size_t count = 0;
  for (fs::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", error), end;
       !error && it != end; it.increment(error)) {
    ++count;
  }
  return count;
}

size_t CountSegments(pid_t pid) {
  std::error_code error;
  size_t count = 0;
  for (fs::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", error), end;
       !error && it != end; it.increment(error)) {
    std::error_code closed;  // by now
    const std::string target = fs::read_symlink(it->path(), closed).string();
    if (target.rfind("/memfd:mlos-re", 0) == 0) ++count;
  }
  return count;
}

uint64_t RssBytes(pid_t pid) {
  std::istringstream in(ReadWhole("/proc/" + std::to_string(pid) + "/statm"));
  uint64_t size = 0;
  uint64_t resident = 0;
  in >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string Maps(pid_t pid) { return ReadWhole("/proc/" + std::to_string(pid) + "/maps"); }

namespace {

// Whether one of them has the name that `variable` has.
bool Names(const std::vector<std::string>& variables, std::string_view variable) {
  const std::string_view name = variable.substr(0, variable.find('=') + 1);
  return std::any_of(variables.begin(), variables.end(), [&](const std::string& other) {
    return other.compare(0, name.size(), name) == 0;
  });
}

}  // namespace

DaemonProcess::DaemonProcess(const std::vector<std::string>& args, std::string log,
                             const std::vector<std::string>& environment)
    : log_(std::move(log)) {
  std::vector<const char*> argv{MLOSD_PROGRAM};
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  argv.push_back(nullptr);
  std::vector<const char*> variables;
  for (const std::string& variable : environment) variables.push_back(variable.c_str());
  for (char** inherited = environ; *inherited != nullptr; ++inherited) {
    variables.push_back(*inherited);
  }
  // The first of a name counts: a port of its own, and no socket, of which a user
  // has one by default, unless the test says otherwise.
  for (const char* own : {"MLOS_GRPC_ADDRESS=127.0.0.1:0", "MLOS_IPC_SOCKET=off"}) {
    if (!Names(environment, own)) variables.push_back(own);
  }
  variables.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // no test leaves a daemon behind
  if (getppid() != parent) _exit(126);
  const int out = open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  execve(argv[0], const_cast<char* const*>(argv.data()),
         const_cast<char* const*>(variables.data()));
  _exit(127);
}

DaemonProcess::~DaemonProcess() {
  if (!Running()) return;
  Signal(SIGKILL);
  WaitExit();
}

bool DaemonProcess::Reap() {
  if (exit_) return true;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

bool DaemonProcess::Running() { return !Reap(); }

void DaemonProcess::Signal(int number) const { SignalOne(pid_, number); }

std::optional<int> DaemonProcess::WaitExit(std::chrono::milliseconds limit) {
  WaitUntil([this] { return Reap(); }, limit);
  return exit_;
}

Ended RunMlosd(const std::vector<std::string>& args, const std::vector<std::string>& environment) {
  const TempDir dir;
  DaemonProcess process(args, dir / "log", environment);
  Ended ended;
  ended.status = process.WaitExit(std::chrono::seconds(20)).value_or(-1);
  ended.output = process.log();
  return ended;
}

}  // namespace mlos::test
