// SPDX-License-Identifier: Apache-2.0
//
// A gRPC server on nghttp2 and nothing else: one connection at a time, blocking
// reads and writes, and every message sent back as it came.  For small messages
// hardly anything is left to save; large ones it copies more often than it must.
#pragma once

namespace mlos::bench {

// Prints the port on 127.0.0.1 and serves until killed; 1 if it cannot.
int ServeFloor();

}  // namespace mlos::bench
