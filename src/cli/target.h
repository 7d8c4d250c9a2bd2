// SPDX-License-Identifier: Apache-2.0
//
// Where the daemon is.  Values; one thread.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos::cli {

struct Target {
  bool grpc = false;      // else HTTP
  std::string unix_path;  // or, where this is empty:
  std::string host;
  std::string port;
  std::string text;  // as a person would write it

  // What goes into the Host field of a request.
  std::string Authority() const;
};

// "http://H:P" (":P" may be left out: 80), "http://[v6]:P" or "unix:///PATH"; for
// gRPC "grpc://H:P" (8081) or "grpc+unix:///PATH".
StatusOr<Target> ParseTarget(std::string_view text);

// MLOS_HOST; without it the local socket if there is one, else
// http://127.0.0.1:8080.
StatusOr<Target> FindTarget();

}  // namespace mlos::cli
