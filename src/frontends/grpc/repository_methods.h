// SPDX-License-Identifier: Apache-2.0
//
// The model repository extension: RepositoryIndex, RepositoryModelLoad and
// RepositoryModelUnload.
//
// Threads: the event loop's.  Lifetime: a method belongs to Services; the
// context outlives it.
#pragma once

#include <memory>

#include "base/status.h"
#include "frontends/grpc/service_context.h"
#include "proto/inference.pb.h"
#include "rpc/call.h"

namespace mlos::grpc {

Status AnswerIndex(const ServiceContext& context, const inference::RepositoryIndexRequest& request,
                   inference::RepositoryIndexResponse* answer);
std::unique_ptr<rpc::Method> NewRepositoryLoad(ServiceContext& context);
std::unique_ptr<rpc::Method> NewRepositoryUnload(ServiceContext& context);

}  // namespace mlos::grpc
