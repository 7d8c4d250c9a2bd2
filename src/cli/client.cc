// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include "cli/grpc_client.h"
#include "cli/http_client.h"

namespace mlos::cli {

std::unique_ptr<Client> NewClient(const Target& target, const std::string& token) {
  if (target.grpc) return std::make_unique<GrpcClient>(target, token);
  return std::make_unique<HttpClient>(target, token);
}

}  // namespace mlos::cli
