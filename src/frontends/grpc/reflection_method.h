// SPDX-License-Identifier: Apache-2.0
//
// grpc.reflection: which services there are, and the files that describe them,
// for tools that know none of them.  v1 and v1alpha are the same on the wire.
//
// Threads: the event loop's.  Lifetime: Services'; the pools outlive it.
#pragma once

#include <google/protobuf/descriptor.h>

#include <memory>
#include <string>
#include <vector>

#include "rpc/call.h"

namespace mlos::grpc {

class Reflection final : public rpc::Method {
 public:
  Reflection() = default;
  void AddService(std::string name) { services_.push_back(std::move(name)); }
  void AddPool(const google::protobuf::DescriptorPool& pool) { pools_.push_back(&pool); }

  rpc::Handler* Begin(rpc::Call& call) override;
  bool client_streams() const override { return true; }

  // The answer to one request, both as messages.
  std::string Answer(std::string_view asked) const;

 private:
  std::vector<std::string> services_;
  std::vector<const google::protobuf::DescriptorPool*> pools_;
};

}  // namespace mlos::grpc
