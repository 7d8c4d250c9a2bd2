// SPDX-License-Identifier: Apache-2.0
//
// What is said of a model: ModelMetadata and ModelConfig, which wait for it to
// be loaded where that is needed, and ModelStatistics.
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

std::unique_ptr<rpc::Method> NewModelMetadata(ServiceContext& context);
std::unique_ptr<rpc::Method> NewModelConfig(ServiceContext& context);

Status AnswerStatistics(const ServiceContext& context,
                        const inference::ModelStatisticsRequest& request,
                        inference::ModelStatisticsResponse* answer);

}  // namespace mlos::grpc
