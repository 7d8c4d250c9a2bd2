// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/channels.h"

#include <fmt/core.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace mlos::plugin_host {
namespace {

// Ringing a socket never waits, whatever its other end is (channel/doorbell.h); of an
// eventfd the application could have the counter full.
bool IsSocket(const OwnedFd& fd) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  // Of other families one might wait when it is closed.
  return getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

}  // namespace

Status CheckAttach(const hostlink::AttachChannel& attach) {
  if (!attach.terms) {
    if (attach.channel < kMaxLanes) return OkStatus();
    if (attach.channel >= kFirstApplication) {
      return InvalidArgument(
          fmt::format("channel {} would be an application's and comes without terms: the core's "
                      "own are numbered below {}",
                      attach.channel, kFirstApplication));
    }
    return ResourceExhausted(fmt::format("a plugin host takes {} channels of the core", kMaxLanes));
  }
  if (attach.channel < kFirstApplication) {
    return InvalidArgument(
        fmt::format("channel {} is one of the core's own and comes with terms", attach.channel));
  }
  if (attach.grant.entries > kBlockSlots) {
    return InvalidArgument(
        fmt::format("the channel of an application has at most {} entries, this one has {}",
                    kBlockSlots, attach.grant.entries));
  }
  if (!IsSocket(attach.grant.producer_event) || !IsSocket(attach.grant.consumer_event)) {
    return InvalidArgument(
        "the descriptors that an application and its host are woken with are Unix sockets");
  }
  return OkStatus();
}

Status ChannelTable::Add(std::shared_ptr<AttachedChannel> channel) {
  const uint32_t number = channel->number;
  if (Find(number) != nullptr) {
    return AlreadyExists(fmt::format("channel {} is attached already", number));
  }
  if (!channel->terms) {
    channel->first_slot = number * kLaneSlots;
  } else {
    uint32_t block = 0;
    while (block < kMaxApplications && blocks_[block]) ++block;
    if (block == kMaxApplications) {
      return ResourceExhausted(fmt::format(
          "a plugin host serves the channels of {} applications at once", kMaxApplications));
    }
    blocks_.set(block);
    channel->first_slot = kFirstBlock + block * kBlockSlots;
  }
  auto list = std::make_shared<ChannelList>(*list_);
  list->push_back(std::move(channel));
  list_ = std::move(list);
  return OkStatus();
}

StatusOr<AttachedChannel*> ChannelTable::Detach(uint32_t number) {
  auto list = std::make_shared<ChannelList>(*list_);
  const auto it =
      std::find_if(list->begin(), list->end(), [&](const auto& c) { return c->number == number; });
  if (it == list->end()) return NotFound(fmt::format("channel {} is not attached", number));
  AttachedChannel* channel = it->get();
  detached_.push_back(std::move(*it));
  list->erase(it);
  list_ = std::move(list);
  return channel;
}

std::shared_ptr<AttachedChannel> ChannelTable::TakeFinished() {
  // Who lets go of a list holds the lock that guards this: the count is right.
  const auto it = std::find_if(detached_.begin(), detached_.end(),
                               [](const auto& c) { return c->owed == 0 && c.use_count() == 1; });
  if (it == detached_.end()) return nullptr;
  std::shared_ptr<AttachedChannel> channel = std::move(*it);
  detached_.erase(it);
  if (channel->terms) blocks_.reset((channel->first_slot - kFirstBlock) / kBlockSlots);
  return channel;
}

AttachedChannel* ChannelTable::Find(uint32_t number) const {
  for (const auto& c : *list_) {
    if (c->number == number) return c.get();
  }
  for (const auto& c : detached_) {
    if (c->number == number) return c.get();
  }
  return nullptr;
}

}  // namespace mlos::plugin_host
