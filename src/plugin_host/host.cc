// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/host.h"

#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "base/json.h"
#include "base/process_memory.h"

namespace mlos::plugin_host {

using hostlink::Frame;

namespace {
constexpr uint64_t kHeartbeatNanos = kNanosPerSecond;
}

Host::Host(OwnedFd control_socket) : link_(std::move(control_socket)) {
  control_ = std::thread([this] { ControlLoop(); });
}

Host::~Host() { EndControlThread(); }

void Host::EndControlThread() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  queued_.NotifyAll();
  if (control_.joinable()) control_.join();
}

int Host::Run() {
  Send(hostlink::EncodeHello());
  std::vector<Frame> frames;
  uint64_t next_beat_ns = NowNanos() + kHeartbeatNanos;
  while (!stopped_) {
    const uint64_t now = NowNanos();
    if (now >= next_beat_ns) {
      next_beat_ns = now + kHeartbeatNanos;
      Beat();
    }
    pollfd p{link_.fd(), POLLIN, 0};
    // Rounded up, so that the beat is due when the time is over.
    if (poll(&p, 1, static_cast<int>((next_beat_ns - now) / kNanosPerMilli) + 1) <= 0) continue;
    frames.clear();
    const Status received = link_.Receive(&frames);
    for (Frame& frame : frames) {
      const uint64_t id = frame.id;
      const Status status = Handle(std::move(frame));
      if (!status.ok()) Reply(id, status);
    }
    if (!received.ok()) {
      // The core is gone: so is every reason to be here.  Destructors would
      // wait for the plugin.
      std::_Exit(1);
    }
  }
  return 0;
}

void Host::Beat() {
  if (scheduler_ == nullptr) return;
  const std::vector<hostlink::Served> served = scheduler_->TakeServed();
  if (!served.empty()) Send(hostlink::EncodeServed(served));
  const hostlink::Heartbeat load = scheduler_->Load();
  if (load.running == 0) return;
  Send(hostlink::EncodeHeartbeat(load));
  scheduler_->WatchAgain();
}

Status Host::Handle(Frame frame) {
  const uint64_t id = frame.id;
  if (frame.type == hostlink::kStart) return OnStart(frame);
  if (scheduler_ == nullptr) return FailedPrecondition("the plugin host was not started");
  switch (frame.type) {
    case hostlink::kAttachChannel: {
      MLOS_ASSIGN_OR_RETURN(auto attach, hostlink::DecodeAttach(std::move(frame)));
      MLOS_RETURN_IF_ERROR(scheduler_->AddChannel(std::move(attach)));
      Reply(id, OkStatus());
      return OkStatus();
    }
    case hostlink::kDetachChannel: {
      MLOS_ASSIGN_OR_RETURN(const uint32_t channel, hostlink::DecodeChannel(frame));
      MLOS_RETURN_IF_ERROR(scheduler_->DetachChannel(channel));
      Reply(id, OkStatus());
      return OkStatus();
    }
    case hostlink::kAddSegment: {
      MLOS_ASSIGN_OR_RETURN(auto add, hostlink::DecodeAddSegment(std::move(frame)));
      MLOS_RETURN_IF_ERROR(scheduler_->AddSegment(std::move(add)));
      Reply(id, OkStatus());
      return OkStatus();
    }
    case hostlink::kReply: {  // to kNeedSegment: a refusal; its id is the channel
      const auto reply = hostlink::DecodeReply(frame);
      if (!reply.ok()) scheduler_->RefuseSegment(static_cast<uint32_t>(id), reply.status());
      return OkStatus();
    }
    case hostlink::kLoadModel:
      return OnLoadModel(std::move(frame));
    case hostlink::kUnloadModel: {
      MLOS_ASSIGN_OR_RETURN(const uint32_t handle, hostlink::DecodeUnloadModel(frame));
      Queue([this, id, handle] {
        const uint64_t before = ReadProcessMemory().anonymous;
        const Status status = scheduler_->RemoveModel(handle);
        malloc_trim(0);  // what was freed goes back to the system, not to the next model
        const uint64_t after = ReadProcessMemory().anonymous;
        Reply(id, status, {{"released_bytes", before - std::min(before, after)}});
      });
      return OkStatus();
    }
    case hostlink::kServe:
      Queue([this, id] {
        scheduler_->Serve();
        Reply(id, OkStatus());
      });
      return OkStatus();
    case hostlink::kStop:
      scheduler_->Stop();
      EndControlThread();
      scheduler_.reset();
      plugin_.reset();
      stopped_ = true;
      return OkStatus();
    default:
      return Unimplemented("the plugin host does not know this message");
  }
}

Status Host::OnStart(const Frame& frame) {
  if (scheduler_ != nullptr) return FailedPrecondition("the plugin host was started already");
  MLOS_ASSIGN_OR_RETURN(const hostlink::StartPlugin start, hostlink::DecodeStart(frame));
  scheduler_ = std::make_unique<Scheduler>(
      start.workers,
      [this](uint32_t channel, uint64_t bytes) {
        Send(hostlink::EncodeNeedSegment(channel, bytes));
      },
      [this](const hostlink::Served& served) {
        if (served.any()) Send(hostlink::EncodeServed({served}));
        Send(hostlink::EncodeDetached(served.channel));
      });
  Queue([this, id = frame.id, start] {
    StatusOr<std::unique_ptr<Plugin>> plugin = Plugin::Open(start);
    if (!plugin.ok()) {
      Reply(id, plugin.status());
      return;
    }
    plugin_ = *std::move(plugin);
    StatusOr<boost::json::value> properties = ParseJson(plugin_->Properties());
    boost::json::object object;
    if (properties.ok() && properties->is_object()) object = std::move(properties->get_object());
    Reply(id, OkStatus(), {{"properties", std::move(object)}});
  });
  return OkStatus();
}

Status Host::OnLoadModel(Frame frame) {
  MLOS_ASSIGN_OR_RETURN(hostlink::LoadModel load, hostlink::DecodeLoadModel(frame));
  auto fds = std::make_shared<std::vector<OwnedFd>>(std::move(frame.fds));
  Queue([this, id = frame.id, load = std::move(load), fds] {
    if (plugin_ == nullptr) {
      Reply(id, FailedPrecondition("the plugin did not start"));
      return;
    }
    const uint64_t before = ReadProcessMemory().anonymous;
    StatusOr<std::unique_ptr<Model>> model = plugin_->Load(load, std::move(*fds));
    if (!model.ok()) {
      Reply(id, model.status());
      return;
    }
    boost::json::object info = hostlink::EncodeModelInfo((*model)->info());
    const uint64_t after = ReadProcessMemory().anonymous;
    info["taken_bytes"] = after - std::min(before, after);
    const Status status = scheduler_->AddModel(load.handle, *std::move(model));
    Reply(id, status, std::move(info));
  });
  return OkStatus();
}

void Host::Reply(uint64_t id, const Status& status, boost::json::object body) {
  Send(hostlink::EncodeReply(id, status, std::move(body)));
}

void Host::Send(Frame frame) {
  MutexLock lock(send_mutex_);
  const Status status = link_.Send(std::move(frame));
  if (!status.ok()) std::_Exit(1);  // the core is gone
}

void Host::Queue(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  queued_.NotifyOne();
}

void Host::ControlLoop() {
  for (;;) {
    std::function<void()> task;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !ending_) queued_.Wait(mutex_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace mlos::plugin_host
