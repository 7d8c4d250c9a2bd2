// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/handler.h"

#include "frontends/http/generate_handler.h"
#include "frontends/http/logging_handler.h"
#include "frontends/http/management_handler.h"
#include "frontends/http/model_handler.h"
#include "frontends/http/region_routes.h"
#include "frontends/http/repository_handler.h"
#include "frontends/http/statistics_handler.h"
#include "frontends/http/trace_handler.h"

namespace mlos::http {
namespace {

// Clients' shared memory.
class RegionHandler final : public Handler {
 public:
  explicit RegionHandler(ApiContext& context) : context_(context) {}
  bool Handle(const Route& route, const Body& body, Response& response) override {
    AnswerRegions(route.target, route.name, context_.regions, body, &response);
    return true;
  }

 private:
  ApiContext& context_;
};

}  // namespace

std::unique_ptr<Handler> MakeHandler(Topic topic, ApiContext& context, Exchange& exchange,
                                     const frontend::RequestContext& request) {
  switch (topic) {
    case Topic::kServer:
      return std::make_unique<ServerHandler>(context);
    case Topic::kModel:
      return std::make_unique<ModelHandler>(context, exchange);
    case Topic::kGenerate:
      return std::make_unique<GenerateHandler>(context, exchange, request);
    case Topic::kRegions:
      return std::make_unique<RegionHandler>(context);
    case Topic::kStatistics:
      return std::make_unique<StatisticsHandler>(context);
    case Topic::kRepository:
      return std::make_unique<RepositoryHandler>(context, exchange);
    case Topic::kLogging:
      return std::make_unique<LoggingHandler>(context, exchange);
    case Topic::kTrace:
      return std::make_unique<TraceHandler>(context, exchange);
    case Topic::kManagement:
      return std::make_unique<ManagementHandler>(context, exchange);
    case Topic::kNone:
    case Topic::kInfer:
      break;
  }
  return nullptr;
}

}  // namespace mlos::http
