// SPDX-License-Identifier: Apache-2.0
//
// A client over gRPC, with a connection for each request: mlos.v1.Management for
// operations, the Open Inference Protocol for models.  Answers are put into the
// words of HTTP, so that what is printed is the same.  One thread.
#pragma once

#include <string>
#include <string_view>

#include "cli/client.h"
#include "cli/grpc_exchange.h"

namespace mlos::cli {

class GrpcClient final : public Client {
 public:
  using Client::Client;
  StatusOr<Answer> Send(const Request& request) override;

 private:
  // `enough` as GrpcCall has it.
  StatusOr<GrpcReply> Call(std::string_view method, const std::string& message,
                           const std::function<bool(std::string_view)>& enough = {});
  StatusOr<Answer> Operate(const Request& request);
  StatusOr<Answer> Describe(const Request& request);
  StatusOr<Answer> Infer(const Request& request);
};

}  // namespace mlos::cli
