// SPDX-License-Identifier: Apache-2.0
#include "backend/host_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mlos::backend {
namespace {

constexpr size_t kMaxLine = 4096;  // of output; a longer line is cut into pieces
// Read from a talkative plugin per turn of the loop: others want their turn.
constexpr int kReadsPerTurn = 16;

int Duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

// What a framework needs to know before its library is mapped; nothing else of
// the core's environment reaches a host.
std::vector<std::string> HostEnvironment() {
  return {
      "PATH=/usr/bin:/bin",
      "LANG=C.UTF-8",
      "ORT_DISABLE_TELEMETRY=1",
  };
}

}  // namespace

StatusOr<std::shared_ptr<HostProcess>> HostProcess::Launch(EventLoop& loop,
                                                           const std::string& program,
                                                           std::string label, Events events) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return ErrnoStatus("a socket for the plugin host");
  }
  OwnedFd mine(sockets[0]);
  const OwnedFd theirs(sockets[1]);
  sandbox::LaunchSpec spec;
  spec.program = program;
  spec.environment = HostEnvironment();
  spec.control_fd = theirs.get();
  MLOS_ASSIGN_OR_RETURN(sandbox::Child child, sandbox::Launch(spec));
  std::shared_ptr<HostProcess> process(new HostProcess(loop, std::move(label), std::move(events),
                                                       std::move(child), std::move(mine)));
  process->Watch();
  return process;
}

HostProcess::HostProcess(EventLoop& loop, std::string label, Events events, sandbox::Child child,
                         OwnedFd socket)
    : loop_(loop),
      label_(std::move(label)),
      events_(std::move(events)),
      child_(std::move(child)),
      link_(std::move(socket), hostlink::Link::Descriptors::kRefused),
      link_ready_(loop.io(), Duplicate(link_.fd())),
      output_ready_(loop.io(), Duplicate(child_.output.get())),
      exit_ready_(loop.io(), Duplicate(child_.pidfd.get())) {}

void HostProcess::Watch() {
  WaitLink();
  WaitOutput();
  WaitExit();
}

void HostProcess::WaitLink() {
  link_ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error && !self->ended_) self->ReadLink();
                         });
}

void HostProcess::WaitOutput() {
  output_ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (!error && !self->ended_) self->ReadOutput();
                           });
}

void HostProcess::WaitExit() {
  exit_ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           if (!error) self->OnExit();
                         });
}

void HostProcess::ReadLink() {
  std::vector<hostlink::Frame> frames;
  const Status status = link_.Receive(&frames);
  const auto self = shared_from_this();  // a callback may drop the last reference
  for (hostlink::Frame& frame : frames) {
    if (ended_) return;
    if (frame.type != hostlink::kReply) {
      events_.on_message(std::move(frame));
      continue;
    }
    const auto it = pending_.find(frame.id);
    if (it == pending_.end()) {
      Kill("it answered something that was not asked");
      return;
    }
    const Reply reply = std::move(it->second.reply);
    pending_.erase(it);
    reply(hostlink::DecodeReply(frame));
  }
  if (status.ok()) {
    WaitLink();
  } else if (status.code() != StatusCode::kUnavailable) {
    Kill(std::string(Message(status)));
  } else {
    // Closed: it has ended, and OnExit says how.  If it has not, it does now.
    sandbox::Kill(child_);
  }
}

void HostProcess::ReadOutput() {
  char buffer[4096];
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t n = read(child_.output.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) return;  // closed
    for (ssize_t k = 0; k < n; ++k) {
      if (buffer[k] != '\n') line_ += buffer[k];
      if (buffer[k] == '\n' || line_.size() >= kMaxLine) {
        events_.on_output(line_);
        line_.clear();
      }
    }
  }
  if (!ended_) WaitOutput();
}

void HostProcess::Request(hostlink::Frame frame, uint64_t limit_ms, Reply reply) {
  if (ended_) {
    reply(Unavailable(label_ + ": its host has ended"));
    return;
  }
  frame.id = next_id_++;
  Pending pending;
  pending.reply = std::move(reply);
  pending.timer = std::make_unique<boost::asio::steady_timer>(loop_.io());
  pending.timer->expires_after(std::chrono::milliseconds(limit_ms));
  pending.timer->async_wait(
      [weak = weak_from_this(), limit_ms](const boost::system::error_code& error) {
        if (error) return;
        if (const auto self = weak.lock()) {
          self->Kill(fmt::format("it did not answer within {} s", limit_ms / 1000), Blame::kNobody);
        }
      });
  pending_.emplace(frame.id, std::move(pending));
  Send(std::move(frame));
}

void HostProcess::Send(hostlink::Frame frame) {
  if (ended_) return;
  const Status status = link_.Enqueue(std::move(frame));
  if (!status.ok()) {
    Kill(std::string(Message(status)));
    return;
  }
  FlushLink();
}

void HostProcess::FlushLink() {
  if (write_waiting_ || ended_) return;
  const StatusOr<bool> done = link_.Flush();
  if (!done.ok() || *done) return;  // broken: its end follows
  write_waiting_ = true;
  link_ready_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](const boost::system::error_code& error) {
                           self->write_waiting_ = false;
                           if (!error) self->FlushLink();
                         });
}

void HostProcess::Kill(const std::string& why, Blame blame) {
  if (ended_) return;
  if (kill_reason_.empty()) {
    kill_reason_ = why;
    blame_ = blame;
  }
  sandbox::Kill(child_);
}

void HostProcess::OnExit() {
  sandbox::Kill(child_);  // what it has started and left behind
  StatusOr<sandbox::ExitReport> report = sandbox::Reap(child_);
  if (!report.ok() && report.status().code() == StatusCode::kUnavailable) {
    WaitExit();
    return;
  }
  // Collected by somebody else (the kernel, where SIGCHLD is ignored): gone all the same.
  if (!report.ok()) report = sandbox::ExitReport{};
  const auto self = shared_from_this();
  ReadOutput();  // its last words
  if (!line_.empty()) events_.on_output(line_);
  ended_ = true;
  boost::system::error_code ignored;
  link_ready_.close(ignored);
  output_ready_.close(ignored);
  exit_ready_.close(ignored);
  const std::string how = kill_reason_.empty() ? sandbox::ExitText(*report)
                                               : fmt::format("was stopped: {}", kill_reason_);
  std::map<uint64_t, Pending> pending = std::move(pending_);
  pending_.clear();
  for (auto& [id, p] : pending) {
    p.reply(Unavailable(fmt::format("{}: its host {}", label_, how)));
  }
  const Events events = std::move(events_);
  events.on_exit(*report, how);
}

}  // namespace mlos::backend
