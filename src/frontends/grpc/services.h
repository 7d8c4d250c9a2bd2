// SPDX-License-Identifier: Apache-2.0
//
// The services that are offered, without the connections they are called on.
//
// Threads: the event loop's.  Lifetime: what Parts names and `options` outlive
// them, they outlive whatever takes calls from dispatcher().
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/grpc/call_log.h"
#include "frontends/grpc/health_method.h"
#include "frontends/grpc/infer_methods.h"
#include "frontends/grpc/management_methods.h"
#include "frontends/grpc/reflection_method.h"
#include "frontends/grpc/service_context.h"
#include "rpc/dispatcher.h"

namespace mlos::grpc {

// What is served, and by whom.
struct Parts {
  EventLoop& loop;
  engine::Engine& engine;
  control::Control& control;
  frontend::RegionTable& regions;
  trace::Tracer* tracer = nullptr;  // may be null
  h2::Acceptor* plain = nullptr;    // who serves requests that are not gRPC; null: nobody
};

class Services {
 public:
  Services(const Parts& parts, const GrpcOptions& options);

  rpc::Dispatcher& dispatcher() { return dispatcher_; }
  const metrics::GrpcCounters& counters() const { return log_.counters(); }
  InferContext& context() { return context_.infer; }
  // Not ready any more.
  void set_leaving() { context_.leaving = true; }
  // And nothing new begins.
  void set_draining();

 private:
  bool Ready() const { return !context_.leaving && context_.engine().routes()->ready; }
  void AddHealth();
  void AddServer();
  void AddModels();
  void AddRegions();
  void AddManagement();
  void AddInference(std::string_view name, rpc::Method& method);
  void Own(std::string_view name, std::unique_ptr<rpc::Method> method);
  template <typename Request, typename Answer, typename F>
  void Add(std::string_view name, F function, bool while_draining = false);

  CallLog log_;
  ServiceContext context_;
  Health health_;
  ModelInferMethod infer_;
  ModelStreamInferMethod stream_infer_;
  Management management_;
  Reflection reflection_;
  std::vector<std::unique_ptr<rpc::Method>> methods_;
  rpc::Dispatcher dispatcher_;
};

}  // namespace mlos::grpc
