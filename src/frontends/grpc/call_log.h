// SPDX-License-Identifier: Apache-2.0
//
// Counts how calls were answered, and logs those that failed for a fault of ours
// or of a model (at level debug: all of them), with the id that the client gave
// or is given with the error, as over HTTP.
//
// Threads: the event loop's.
#pragma once

#include "base/log.h"
#include "frontends/common/request_context.h"
#include "metrics/grpc_counters.h"
#include "rpc/dispatcher.h"

namespace mlos::grpc {

class CallLog final : public rpc::Watcher {
 public:
  void OnAnswered(rpc::Call& call, const Status& status) override;
  // One request of a stream, which goes on.
  void OnRequestAnswered(const rpc::Call& call, uint64_t began_ns, const Status& status);

  const metrics::GrpcCounters& counters() const { return counters_; }

 private:
  void Begin(const rpc::Call& call);
  void Line(const rpc::Call& call, uint64_t began_ns, const Status& status);

  metrics::GrpcCounters counters_;
  LogLimit lines_{100};
  frontend::IdSource ids_;
  frontend::RequestContext request_;
};

}  // namespace mlos::grpc
