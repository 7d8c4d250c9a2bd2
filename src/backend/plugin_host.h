// SPDX-License-Identifier: Apache-2.0
//
// The core's end of a plugin host: a process that is kept alive.  Starts it,
// gives it its channels and models, and when it dies starts a successor that
// gets the same again and finishes what the dead one left.
//
// Threads: the control loop only.  Lifetime: shared (timers and replies hold
// it); Stop() ends it.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/channel_port.h"
#include "backend/host_process.h"
#include "backend/host_watch.h"
#include "base/event_loop.h"
#include "hostlink/messages.h"
#include "tensor/model_info.h"

namespace mlos::backend {

struct HostSpec {
  std::string program;  // mlos-plugin-host
  hostlink::StartPlugin start;
  uint64_t start_limit_ms = 30'000;
  uint64_t load_limit_ms = 600'000;
  uint64_t stop_limit_ms = 10'000;
  // A host that does not let go of a channel when told ends.
  uint64_t detach_limit_ms = 1'000;
  // A request that runs this much past its deadline is taken for a hang.
  uint64_t hang_limit_ms = 10'000;
  HostWatch* watch = nullptr;  // outlives the host; may be null
};

enum class HostState { kStarting, kReady, kRestarting, kStopping, kStopped, kFailed };
std::string_view HostStateName(HostState state);

// A model's files, held open as long as the model is loaded, so that a
// successor loads what was loaded before, whatever happens to the path.
struct ModelFiles {
  hostlink::LoadModel load;
  std::vector<OwnedFd> fds;
};

// Lower numbers of channels are the core's own.
constexpr uint32_t kFirstApplication = 16;

class PluginHost : public std::enable_shared_from_this<PluginHost> {
 public:
  struct Events {
    // It will not be restarted any more.
    std::function<void(const Status&)> on_failed;
    // A successor could not load a model that its predecessor had; the others serve.
    std::function<void(uint32_t handle, const Status&)> on_model_lost;
  };
  PluginHost(EventLoop& loop, HostSpec spec, std::vector<std::shared_ptr<ChannelPort>> ports,
             Events events);

  void Start(std::function<void(Status)> done);
  // The reply carries the model's description.  Loads run one after the other,
  // each with its time from when its turn comes.  A host that is on its way back
  // is waited for, also by UnloadModel: what the model had accepted is answered.
  void LoadModel(ModelFiles files, std::function<void(StatusOr<ModelInfo>)> done);
  void UnloadModel(uint32_t handle, std::function<void(Status)> done);
  // A channel whose producer is a local application: attached as soon as a host
  // serves, and to every successor, each in its own time.  Returns its number.
  uint32_t AddChannel(std::shared_ptr<ChannelPort> port, const hostlink::ChannelTerms& terms);
  // Nothing more is claimed from it; `done`, never from inside this call's caller's
  // stack, when what was claimed is answered, or the process that claimed it is gone.
  void RemoveChannel(uint32_t number, std::function<void()> done);
  // The files of a loaded model, for another host.
  StatusOr<ModelFiles> CopyModel(uint32_t handle) const;
  // Finishes what was claimed, ends the process.  `done` comes always, to
  // everybody who asked.
  void Stop(std::function<void()> done);
  // Ends the process whatever it does; for a host that is told to stop.
  void KillNow();

  HostState state() const { return state_; }
  pid_t pid() const { return process_ != nullptr ? process_->pid() : -1; }
  uint32_t restarts() const { return restarts_; }
  const std::string& last_exit() const { return last_exit_; }
  uint64_t rss_bytes() const;
  // More than a tenth of what unloaded models had taken stays resident.
  bool KeepsMemory() const;
  const hostlink::StartPlugin& plugin() const { return spec_.start; }
  const boost::json::object& properties() const { return properties_; }

 private:
  // ---- channels of applications: plugin_host_channels.cc
  enum class Attachment : uint8_t {
    kNone,  // the present process knows nothing of it
    kSent,  // it was told, or will be before it reads anything else
  };
  struct Application {
    std::shared_ptr<ChannelPort> port;
    hostlink::ChannelTerms terms;
    Attachment attachment = Attachment::kNone;
  };
  void AttachApplications();
  void AttachApplication(uint32_t number);
  void OnAttached(uint32_t number, const Status& status);
  void SendApplicationSegment(uint32_t number, channel::SegmentGrant segment);
  void OnDetached(uint32_t number);
  void OnServed(const hostlink::Frame& frame);
  void ForgetAttachments();
  void FailApplications(const Status& status);
  ChannelPort* PortOf(uint64_t channel);

  void Launch();
  void OnMessage(const hostlink::Frame& frame);
  void OnHello(const hostlink::Frame& frame);
  void SendSegment(size_t port, channel::SegmentGrant segment);
  bool ComingUp() const;
  using Next = std::function<void(PluginHost&, const boost::json::object&)>;
  void Step(hostlink::Frame frame, uint64_t limit_ms, Next next);
  void AttachNext(size_t port);
  void OnReloaded(uint32_t handle, const StatusOr<boost::json::object>& reply);
  void NoteLoaded(uint32_t handle, const boost::json::object& reply);
  void NoteUnloaded(uint32_t handle, const boost::json::object& reply);
  void LoadNext(std::map<uint32_t, ModelFiles>::iterator model);
  void Serve();
  void StartFailed(const Status& status);
  void Stopped();
  void RunDeferred();
  void OnExit(const sandbox::ExitReport& report, const std::string& how);
  channel::Death DeathOf(const sandbox::ExitReport& report) const;
  void Restart();
  void GiveUp(const Status& status);
  void OnNeedSegment(const hostlink::Frame& frame);
  void OnHeartbeat(const hostlink::Frame& frame);
  void OnOutput(std::string_view line);
  using ModelLoaded = std::function<void(StatusOr<ModelInfo>)>;
  ModelLoaded TimeLoad(ModelLoaded done) const;
  void LoadWaiting();
  void SendLoad(const std::shared_ptr<ModelFiles>& kept, ModelLoaded done);
  std::string Label() const;

  EventLoop& loop_;
  HostSpec spec_;
  std::vector<std::shared_ptr<ChannelPort>> ports_;
  std::map<uint32_t, Application> applications_;
  struct Detaching {
    std::shared_ptr<ChannelPort> port;
    std::function<void()> done;
  };
  std::map<uint32_t, Detaching> detaching_;
  uint32_t next_application_ = kFirstApplication;
  Events events_;
  std::function<void(Status)> started_;
  std::vector<std::function<void()>> stopped_;
  std::shared_ptr<HostProcess> process_;
  std::map<uint32_t, ModelFiles> models_;
  std::deque<std::pair<std::shared_ptr<ModelFiles>, ModelLoaded>> waiting_;  // for their turn
  bool loading_ = false;                // a load is not answered
  std::map<uint32_t, uint64_t> taken_;  // bytes of memory that loading each took
  uint64_t unloaded_bytes_ = 0;         // what models that are gone had taken
  uint64_t residue_bytes_ = 0;          // what of that the process kept
  // Made while no host was ready to take them.
  std::vector<std::pair<size_t, channel::SegmentGrant>> late_segments_;
  std::vector<std::function<void()>> deferred_;  // until it is back, or given up
  HostState state_ = HostState::kStopped;
  bool cut_off_ = false;  // by KillNow: the daemon ends
  uint32_t restarts_ = 0;
  uint32_t quick_deaths_ = 0;  // in a row, each soon after its start
  bool hung_ = false;          // the present process was stopped for that
  bool may_claim_ = false;     // the present process was told to serve
  channel::Ending ending_;     // of the last one that served
  uint64_t started_ns_ = 0;
  std::string last_exit_;
  Status start_status_;
  boost::json::object properties_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<LogRing> output_;  // last lines
  uint64_t output_second_ = 0;       // for limiting what reaches the log
  uint32_t output_lines_ = 0;
};

}  // namespace mlos::backend
