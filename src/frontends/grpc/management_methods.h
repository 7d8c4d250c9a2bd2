// SPDX-License-Identifier: Apache-2.0
//
// mlos.v1.Management: every operation of the table as a method.  The messages
// are made from the table as well (operations/proto_document.h), when the
// daemon starts; there is no code for any of them.
//
// Threads: the event loop's, but for answers, which are put together where the
// control path gives them.  Lifetime: Services'; outlives all calls and
// whatever the control path still has to answer.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>

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
  const google::protobuf::DescriptorPool& pool() const { return messages_->pool; }

 private:
  friend class ManagementHandler;
  // Shared with answers that are on their way.
  struct Messages {
    Messages();
    google::protobuf::DescriptorPool pool;
    google::protobuf::DynamicMessageFactory factory;
    const google::protobuf::ServiceDescriptor* service = nullptr;
  };
  class Method;

  ServiceContext& context_;
  std::shared_ptr<Messages> messages_;
  std::vector<std::unique_ptr<Method>> methods_;
};

}  // namespace mlos::grpc
