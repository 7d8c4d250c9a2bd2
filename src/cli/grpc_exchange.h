// SPDX-License-Identifier: Apache-2.0
//
// One call of gRPC on a connection of its own: one message there, any number
// back.  It is on nghttp2 and not on the library of gRPC, which would make mlos
// thirty times as large and take longer to start than most commands take.
//
// One thread; a function.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/connection.h"

namespace mlos::cli {

struct GrpcCall {
  std::string_view method;     // "/mlos.v1.Management/GetStatus"
  std::string_view authority;  // the daemon's
  std::string_view token;      // may be empty
  std::string_view message;
  // Sees each message of the answer; true: no more is wanted, and the call is
  // cancelled.  May be empty.
  std::function<bool(std::string_view)> enough;
};

struct GrpcReply {
  Status status;     // the daemon's
  std::string hint;  // what to do, where it says so
  std::vector<std::string> messages;
};

// UNAVAILABLE: what listens there answered nothing, or does not speak gRPC.
StatusOr<GrpcReply> Exchange(Connection& connection, const GrpcCall& call);

}  // namespace mlos::cli
