// SPDX-License-Identifier: Apache-2.0
//
// Opens direct channels: a local application's own way to a model (docs/ipc.md).
// What a front end sees of it.
#pragma once

#include <cstdint>
#include <functional>

#include "base/owned_fd.h"
#include "base/status.h"
#include "engine/route.h"

namespace mlos::engine {

class ChannelOpener {
 public:
  struct Wish {
    RoutePin route;          // ready; kept as long as the channel
    uint32_t principal = 0;  // who asks
    // The application's memory is used where it lies: only for who may do to the
    // model what he likes anyway.
    bool in_place = false;
  };
  // The application's end of the channel's link.
  using Opened = std::function<void(StatusOr<OwnedFd>)>;

  virtual ~ChannelOpener() = default;
  // Any thread; `opened` is called on any.  ABORTED: the model is on its way out of that
  // place, and a newer route says where it is.  RESOURCE_EXHAUSTED: too many channels.
  virtual void OpenChannel(Wish wish, Opened opened) = 0;
};

}  // namespace mlos::engine
