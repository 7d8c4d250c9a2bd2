// SPDX-License-Identifier: Apache-2.0
//
// The gRPC front end: inference with the protocol's extensions, management,
// health, reflection.
//
// Threads: built before the loop runs or on its thread; everything else on the
// loop's thread.  Lifetime: what Parts names outlives the server.  Destroying it
// closes all connections and cancels what they wait for.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "frontends/grpc/options.h"
#include "frontends/grpc/services.h"
#include "metrics/grpc_counters.h"
#include "metrics/h2_counters.h"

namespace mlos::grpc {

class GrpcServer {
 public:
  explicit GrpcServer(const Parts& parts, GrpcOptions options = {});
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // As h2::Server: listens as often as it is called, returns the address in use.
  StatusOr<std::string> Listen(std::string_view address);
  // Not ready any more, and clients are told to go elsewhere; all is answered.
  void Leave();
  // Calls that clients have sent by now are taken; later ones are answered
  // UNAVAILABLE, but for those that ask how the server is; `done` when those
  // that run are answered.
  void Drain(std::function<void()> done);

  size_t connections() const;
  const metrics::H2Counters& counters() const;  // any thread
  const metrics::GrpcCounters& calls() const;   // any thread

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlos::grpc
