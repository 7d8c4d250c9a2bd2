// SPDX-License-Identifier: Apache-2.0
//
// A client over HTTP/1.1, with a connection for each request.  One thread.
#pragma once

#include "cli/client.h"

namespace mlos::cli {

class HttpClient final : public Client {
 public:
  using Client::Client;
  StatusOr<Answer> Send(const Request& request) override;
};

}  // namespace mlos::cli
