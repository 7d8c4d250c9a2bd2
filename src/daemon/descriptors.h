// SPDX-License-Identifier: Apache-2.0
//
// File descriptors, of which every connection takes one.  Called when the
// daemon starts, by its one thread.
#pragma once

#include <cstdint>

namespace mlos::daemon {

// Lets this process have as many as the system's hard limit allows; the soft
// limit is for programs that use select().  Returns how many.
uint64_t RaiseDescriptorLimit();

struct Connections {
  uint32_t http = 0;
  uint32_t grpc = 0;
  uint32_t ipc = 0;
};

// As many of `wanted` direct channels, which take two each, as stay within what is left
// for everything else.
uint64_t ChannelsThatFit(uint64_t wanted, uint64_t descriptors);

// As many of `wanted` connections as leave descriptors for everything else:
// plugin hosts, their memory, the files of models that are loaded, the state
// store, and as many regions as clients may register.  Says so in the log where
// that is less; each protocol then has its share.
Connections ConnectionsThatFit(Connections wanted, uint64_t descriptors, uint64_t regions);

}  // namespace mlos::daemon
