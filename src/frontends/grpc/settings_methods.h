// SPDX-License-Identifier: Apache-2.0
//
// TraceSetting and LogSettings: they change what is given and answer with what
// then holds.
//
// Threads: the event loop's.  Lifetime: a method belongs to Services; the
// context outlives it.
#pragma once

#include <memory>

#include "frontends/grpc/service_context.h"
#include "rpc/call.h"

namespace mlos::grpc {

std::unique_ptr<rpc::Method> NewTraceSetting(ServiceContext& context);
std::unique_ptr<rpc::Method> NewLogSettings(ServiceContext& context);

}  // namespace mlos::grpc
