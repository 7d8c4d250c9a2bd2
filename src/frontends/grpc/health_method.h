// SPDX-License-Identifier: Apache-2.0
//
// grpc.health.v1: whether the server, or one of its services, answers.  Check
// says it once; Watch says it now and after every change.
//
// Threads: the event loop's.  Lifetime: the server's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rpc/call.h"

namespace mlos::grpc {

class Health {
 public:
  // `ready`: whether this server is.
  explicit Health(std::function<bool()> ready);
  // A service that is there when the server is ready; the empty name is known.
  void AddService(std::string name) { services_.push_back(std::move(name)); }

  // Whether a service answers; nullopt: there is none of that name.
  std::optional<bool> Serving(const std::string& service) const;

  // The server goes: who watches is told so, and let go.
  void set_draining() { draining_ = true; }
  bool draining() const { return draining_; }

  rpc::Method& check() { return *check_; }
  rpc::Method& watch() { return *watch_; }

 private:
  std::function<bool()> ready_;
  bool draining_ = false;
  std::vector<std::string> services_;
  std::unique_ptr<rpc::Method> check_;
  std::unique_ptr<rpc::Method> watch_;
};

}  // namespace mlos::grpc
