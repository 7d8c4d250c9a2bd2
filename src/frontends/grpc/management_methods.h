// SPDX-License-Identifier: Apache-2.0
//
// mlos.v1.Management: every operation of the table as a method.  Messages are
// read and written from the table as well (operations/message_codec.h); as
// descriptors there are for reflection.
//
// Threads: the event loop's, but for answers, which are written where the
// control path gives them.  Lifetime: Services'; outlives all calls.
#pragma once

#include <google/protobuf/descriptor.h>

#include <memory>
#include <string>
#include <vector>

#include "operations/operations.h"
#include "rpc/dispatcher.h"

namespace mlos::grpc {

struct ServiceContext;

class Management {
 public:
  static constexpr const char* kService = "mlos.v1.Management";

  explicit Management(ServiceContext& context);
  ~Management();

  void AddTo(rpc::Dispatcher& dispatcher);
  const google::protobuf::DescriptorPool& pool() const { return pool_; }

 private:
  class Method;

  ServiceContext& context_;
  google::protobuf::DescriptorPool pool_;
  std::vector<std::unique_ptr<Method>> methods_;
};

}  // namespace mlos::grpc
