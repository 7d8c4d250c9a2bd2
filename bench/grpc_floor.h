// SPDX-License-Identifier: Apache-2.0
//
// The least that a gRPC server can do: one connection at a time, blocking reads
// and writes, nghttp2, and every message sent back as it came.
#pragma once

namespace mlos::bench {

// Prints the port on 127.0.0.1 and serves until killed; 1 if it cannot.
int ServeFloor();

}  // namespace mlos::bench
