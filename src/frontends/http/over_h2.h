// SPDX-License-Identifier: Apache-2.0
//
// The same service over HTTP/2: what is asked on the port of gRPC without
// being a call of gRPC.  Bodies are put together here, answers are sent from
// where they lie.
//
// Limits of a request are HttpOptions', those of a connection HTTP/2's.
//
// Threads: the event loop's.  Lifetime: service, options and counters outlive
// it, it outlives the HTTP/2 server.
#pragma once

#include <ctime>
#include <memory>
#include <string_view>
#include <vector>

#include "frontends/http/exchange.h"
#include "frontends/http/options.h"
#include "h2/stream.h"
#include "metrics/http_counters.h"

namespace mlos::http {

class OverH2 final : public h2::Acceptor {
 public:
  OverH2(Service& service, const HttpOptions& options, metrics::HttpCounters& counters);
  ~OverH2() override;

  h2::StreamHandler* OnRequest(h2::Stream& stream) override;

 private:
  class Request;

  void Done(Request& request);
  std::string_view Date();

  Service& service_;
  const HttpOptions& options_;
  metrics::HttpCounters& counters_;
  std::vector<std::unique_ptr<Request>> running_;
  std::vector<std::unique_ptr<Request>> spare_;
  size_t held_answers_ = 0;  // that are compressed while they are in a model's memory
  time_t date_of_ = 0;
  char date_[40] = "";
  size_t date_size_ = 0;
};

}  // namespace mlos::http
