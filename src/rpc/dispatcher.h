// SPDX-License-Identifier: Apache-2.0
//
// Takes the requests of an HTTP/2 server: calls of gRPC go to the method with
// their path, everything else to whoever serves plain HTTP.
//
// Threads: filled before the server listens; the event loop's from then on.
// Lifetime: methods and `other` outlive it, it outlives the server.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "h2/stream.h"
#include "rpc/call.h"
#include "rpc/options.h"

namespace mlos::rpc {

// What all calls of a server share.
struct CallContext {
  const Options& options;
  Watcher* watcher = nullptr;
  std::vector<std::unique_ptr<Call>> calls = {};  // under way
  std::vector<std::unique_ptr<Call>> spare = {};
};

class Dispatcher final : public h2::Acceptor {
 public:
  // `other`: who gets requests that are not gRPC; null: nobody.
  explicit Dispatcher(Options options, h2::Acceptor* other = nullptr);
  ~Dispatcher() override;

  // "/package.Service/Method"
  void Add(std::string path, Method& method);
  // Outlives the dispatcher.
  void set_watcher(Watcher* watcher) { context_.watcher = watcher; }
  // From now on new calls are answered UNAVAILABLE, but for some.
  void set_draining() { draining_ = true; }

  h2::StreamHandler* OnRequest(h2::Stream& stream) override;

 private:
  class Refusal;
  void Start(Call& call, h2::Stream& stream);

  const Options options_;
  CallContext context_;
  h2::Acceptor* other_;
  bool draining_ = false;
  std::map<std::string, Method*, std::less<>> methods_;
  std::unique_ptr<Refusal> refusal_;
};

}  // namespace mlos::rpc
