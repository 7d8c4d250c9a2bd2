// SPDX-License-Identifier: Apache-2.0
//
// Plugin hosts as the lifecycle sees them: started, lost, emptied, ended.
#include "lifecycle/manager.h"

#include "base/log.h"

namespace mlos::lifecycle {

using catalog::PluginVersion;
using catalog::State;

Manager::Manager(EventLoop& control, catalog::Catalog& catalog, ManagerOptions options)
    : control_(control),
      catalog_(catalog),
      options_(std::move(options)),
      channels_(
          control, options_.max_channels,
          [this](uint64_t number) {
            const auto it = hosts_.find(number);
            return it == hosts_.end() ? nullptr : it->second.host;
          },
          [this](const engine::RoutePin& route, const hostlink::Served& served) {
            if (!engines_.empty()) engines_.front()->CountServed(route, served);
          }),
      save_timer_(control.io()),
      background_(control) {}

void Manager::Finish(const void* record, const Status& status) {
  const auto it = waiters_.find(record);
  if (it == waiters_.end()) return;
  const std::vector<Done> waiting = std::move(it->second);
  waiters_.erase(it);
  for (const Done& done : waiting) done(status);
}

uint64_t Manager::LaunchHost(const PluginVersion& plugin,
                             std::function<void(uint64_t, Status)> started) {
  const uint64_t number = next_host_++;
  if (stopping_) {
    control_.Post([started, number] { started(number, Unavailable("the daemon is stopping")); });
    return number;
  }
  std::vector<std::shared_ptr<backend::ChannelPort>> ports;
  for (engine::ChannelEngine* engine : engines_) {
    StatusOr<std::shared_ptr<engine::HostLane>> lane = engine->OpenLane(number);
    if (!lane.ok()) {
      control_.Post([started, number, status = lane.status()] { started(number, status); });
      return number;
    }
    ports.push_back(*std::move(lane));
  }
  backend::HostSpec spec;
  spec.program = options_.host_program;
  spec.start.directory = plugin.directory;
  spec.start.library = plugin.manifest.library;
  spec.start.name = plugin.manifest.name;
  spec.start.version = plugin.manifest.version;
  spec.start.workers = options_.workers;
  spec.hang_limit_ms = options_.hang_limit_ms;
  spec.watch = options_.watch;
  backend::PluginHost::Events events;
  events.on_failed = [this, number](const Status& status) { OnHostFailed(number, status); };
  events.on_model_lost = [this, number](uint32_t handle, const Status& status) {
    OnModelLost(number, handle, status);
  };
  auto host = std::make_shared<backend::PluginHost>(control_, std::move(spec), std::move(ports),
                                                    std::move(events));
  hosts_.emplace(number, RunningHost{host, plugin.manifest.name, plugin.manifest.version});
  // Never from inside this call: whoever asked first notes the number.
  host->Start([this, number, started = std::move(started)](const Status& status) {
    control_.Post([started, number, status] { started(number, status); });
  });
  return number;
}

void Manager::DropHost(uint64_t number) {
  for (engine::ChannelEngine* engine : engines_) engine->CloseLane(number);
  hosts_.erase(number);
}

void Manager::StopHost(uint64_t number, std::function<void()> done) {
  const auto it = hosts_.find(number);
  if (it == hosts_.end()) {
    done();
    return;
  }
  it->second.host->Stop([this, number, done = std::move(done)] {
    // Not from inside the host's own call.
    control_.Post([this, number, done] {
      DropHost(number);
      done();
    });
  });
}

// It died for good.  What it was for decides who minds.
void Manager::OnHostFailed(uint64_t number, const Status& status) {
  control_.Post([this, number] { DropHost(number); });  // not from inside its own call
  const auto it = hosts_.find(number);
  if (it == hosts_.end()) return;
  const std::string name = it->second.plugin;
  Handover* handover = HandoverOf(name);
  if (handover != nullptr && handover->new_host == number && !handover->switched) {
    FailHandover(name, status);
  }
  for (const auto& [model_name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->host != number || model->state != State::kReady) continue;
      Unsettle(*model, State::kFailed, std::string(Message(status)));
    }
  }
  const auto found = catalog_.FindPlugin(name, it->second.version);
  if (found.ok() && (*found)->host == number && (*found)->state == State::kReady) {
    PluginFailed(**found, status);
  }
}

void Manager::OnModelLost(uint64_t number, uint32_t handle, const Status& status) {
  for (const auto& [plugin, handover] : handovers_) {
    if (handover.new_host == number && !handover.switched) {
      return control_.Post([this, plugin = plugin, number, status] {  // not from inside its call
        const Handover* still = HandoverOf(plugin);
        if (still != nullptr && still->new_host == number && !still->switched) {
          FailHandover(plugin, status);
        }
      });
    }
  }
  for (const auto& [name, versions] : catalog_.models()) {
    for (const auto& [version, model] : versions) {
      if (model->host != number || model->handle != handle || model->state != State::kReady) {
        continue;
      }
      Log(LogLevel::kError, "{} did not load again after its host had died: {}", Label(*model),
          Message(status));
      Unsettle(*model, State::kFailed, std::string(Message(status)));
      return;
    }
  }
}

// ----------------------------------------------------------------- emptying

void Manager::WhenUnused(Place place, std::function<void()> then) {
  channels_.Leave(place);
  Drain& drain = drains_[place];
  drain.then = std::move(then);
  drain.limit = std::make_unique<boost::asio::steady_timer>(control_.io());
  drain.limit->expires_after(std::chrono::milliseconds(options_.drain_limit_ms));
  drain.limit->async_wait([this, place](const boost::system::error_code& error) {
    if (!error) OnUnused(place);
  });
}

void Manager::OnUnused(Place place) {
  const auto it = drains_.find(place);
  channels_.Left(place);
  if (it == drains_.end()) return;
  const Drain drain = std::move(it->second);
  drains_.erase(it);
  drain.limit->cancel();
  drain.then();
}

// -------------------------------------------------------------------- the end

void Manager::StopAll(const std::function<void()>& done) {
  stopping_ = true;
  channels_.LeaveAll();
  if (hosts_.empty()) {
    done();
    return;
  }
  const auto left = std::make_shared<size_t>(hosts_.size());
  const auto hosts = hosts_;
  for (const auto& [number, running] : hosts) {
    running.host->Stop([left, done] {
      if (--*left == 0) done();
    });
  }
}

void Manager::KillHosts() {
  for (const auto& [number, running] : hosts_) running.host->KillNow();
}

std::vector<Manager::HostRow> Manager::Hosts() const {
  std::vector<HostRow> out;
  for (const auto& [number, running] : hosts_) {
    out.push_back({number, running.plugin, running.version, running.host.get()});
  }
  return out;
}

}  // namespace mlos::lifecycle
