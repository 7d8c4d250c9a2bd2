// SPDX-License-Identifier: Apache-2.0
//
// One running plugin host process and the conversation with it: requests with
// replies and time limits, its output, its end.
//
// Threads: the control loop only.  Lifetime: shared, because the loop's
// handlers hold it until the process has ended.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/status.h"
#include "hostlink/link.h"
#include "hostlink/messages.h"
#include "sandbox/launcher.h"

namespace mlos::backend {

class HostProcess : public std::enable_shared_from_this<HostProcess> {
 public:
  using Reply = std::function<void(StatusOr<boost::json::object>)>;

  // What happens to it; called on the control loop.
  struct Events {
    std::function<void(hostlink::Frame)> on_message;  // kHello, kNeedSegment, kHeartbeat
    std::function<void(std::string_view)> on_output;  // a line, without its end
    // Ended and reaped; the last call.  Outstanding replies fail before it.
    std::function<void(const sandbox::ExitReport&, const std::string& why)> on_exit;
  };

  // `label` names the plugin in the errors that a death causes.
  static StatusOr<std::shared_ptr<HostProcess>> Launch(EventLoop& loop, const std::string& program,
                                                       std::string label, Events events);

  // Sends a request; `reply` comes once.  After `limit_ms` without a reply the
  // process is killed.
  void Request(hostlink::Frame frame, uint64_t limit_ms, Reply reply);
  void Send(hostlink::Frame frame);  // without a reply

  // Kills it; on_exit follows.  The first reason given is the one reported.
  enum class Blame : uint8_t { kRequests, kNobody };  // whether what it ran may be why
  void Kill(const std::string& why, Blame blame = Blame::kRequests);

  pid_t pid() const { return child_.pid; }
  bool killed() const { return !kill_reason_.empty(); }  // by Kill
  Blame blame() const { return blame_; }                 // of that
  bool ended() const { return ended_; }  // already so while its outstanding replies fail

 private:
  HostProcess(EventLoop& loop, std::string label, Events events, sandbox::Child child,
              OwnedFd socket);
  void Watch();
  void WaitLink();
  void WaitOutput();
  void WaitExit();
  void ReadLink();
  void ReadOutput();
  void OnExit();
  void FlushLink();

  struct Pending {
    Reply reply;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };

  EventLoop& loop_;
  const std::string label_;
  Events events_;
  sandbox::Child child_;
  hostlink::Link link_;
  boost::asio::posix::stream_descriptor link_ready_;
  boost::asio::posix::stream_descriptor output_ready_;
  boost::asio::posix::stream_descriptor exit_ready_;
  std::map<uint64_t, Pending> pending_;
  uint64_t next_id_ = 1;
  std::string line_;
  std::string kill_reason_;
  Blame blame_ = Blame::kRequests;
  bool write_waiting_ = false;
  bool ended_ = false;
};

}  // namespace mlos::backend
