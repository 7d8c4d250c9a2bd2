// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/direct_channels.h"

#include <fmt/core.h>
#include <sys/socket.h>

#include <vector>

namespace mlos::lifecycle {
namespace {

DirectChannels::Place PlaceOf(const engine::ModelRoute& route) {
  return {route.host, route.handle};
}

}  // namespace

void DirectChannels::OpenChannel(Wish wish, Opened opened) {
  control_.Post([this, wish = std::move(wish), opened = std::move(opened)] { opened(Open(wish)); });
}

StatusOr<OwnedFd> DirectChannels::Open(const Wish& wish) {
  if (closed_) return Unavailable("the server is shutting down");
  if (channels_.size() >= most_) {
    return ResourceExhausted(fmt::format(
        "there are {} direct channels already (--ipc-max-channels, and the open files that "
        "the system allows)",
        most_));
  }
  const std::shared_ptr<backend::PluginHost> host = find_host_(wish.route->host);
  if (host == nullptr || leaving_.count(PlaceOf(*wish.route)) != 0) {
    return Aborted(fmt::format("model \"{}\" is on its way elsewhere", wish.route->name));
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus("cannot make a pair of sockets");
  }
  OwnedFd mine(ends[0]);
  OwnedFd theirs(ends[1]);
  const uint64_t id = next_id_++;
  Channel& channel = channels_[id];
  channel.route = wish.route;
  channel.host = host;
  channel.port = std::make_shared<backend::DirectPort>(
      control_, std::move(mine), [this, id] { End(id, {.why = OkStatus(), .reopen = false}); });
  channel.port->on_served = [this, route = wish.route](const hostlink::Served& served) {
    on_served_(route, served);
  };
  channel.port->Start();
  channel.number = host->AddChannel(
      channel.port,
      {.model = wish.route->handle, .principal = wish.principal, .in_place = wish.in_place});
  return theirs;
}

void DirectChannels::End(uint64_t id, const hostlink::LaneEnd& end) {
  const auto it = channels_.find(id);
  if (it == channels_.end() || std::exchange(it->second.ending, true)) return;
  const auto forget = [this, id, end] {
    const auto found = channels_.find(id);
    if (found == channels_.end()) return;
    if (!end.why.ok()) found->second.port->End(end);
    channels_.erase(found);
  };
  const std::shared_ptr<backend::PluginHost> host = it->second.host.lock();
  if (host == nullptr) return control_.Post(forget);
  host->RemoveChannel(it->second.number, forget);
}

void DirectChannels::Leave(Place place) {
  leaving_.insert(place);
  std::vector<std::pair<uint64_t, std::string>> ending;
  for (const auto& [id, channel] : channels_) {
    if (PlaceOf(*channel.route) == place) ending.emplace_back(id, channel.route->name);
  }
  for (const auto& [id, model] : ending) {
    End(id, {.why = Unavailable(fmt::format(
                 "model \"{}\" has left the plugin host of this channel: open another", model)),
             .reopen = true});
  }
}

void DirectChannels::LeaveAll() {
  closed_ = true;
  std::vector<uint64_t> ending;
  for (const auto& [id, channel] : channels_) ending.push_back(id);
  for (const uint64_t id : ending) {
    End(id, {.why = Unavailable("the server is shutting down"), .reopen = true});
  }
}

}  // namespace mlos::lifecycle
