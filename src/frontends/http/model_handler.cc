// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/model_handler.h"

#include <string>
#include <utility>

#include "base/clock.h"
#include "frontends/common/infer_plan.h"
#include "frontends/http/metadata.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

using frontend::Quote;

}  // namespace

// -------------------------------------------------------------------- server

bool ServerHandler::Handle(const Route& route, const Body&, Response& response) {
  switch (route.target) {
    case Target::kLive:
      response.body.Append("{\"live\":true}");
      break;
    case Target::kReady:
      ServerReady(response);
      break;
    case Target::kModelReady:
      ModelReady(route, response);
      break;
    case Target::kModelList:
      AppendModelList(*context_.engine.routes(), &response.body);
      break;
    default:
      AppendServerMetadata(context_.options, {.client_regions = context_.regions.allowed()},
                           &response.body);
      break;
  }
  return true;
}

void ServerHandler::ServerReady(Response& response) const {
  if (context_.leaving) return response.Error(Unavailable("the server is shutting down"));
  const auto routes = context_.engine.routes();
  if (routes->ready) {
    response.body.Append("{\"ready\":true}");
    return;
  }
  response.status = 400;
  response.body.Append("{\"ready\":false,\"error\":");
  tensor::AppendJsonString("not all that should be loaded is: " + routes->not_ready,
                           &response.body);
  response.body.Append('}');
}

void ServerHandler::ModelReady(const Route& route, Response& response) const {
  const engine::RoutePin model = context_.engine.routes()->Find(route.name, route.version);
  if (model == nullptr) {
    std::string text = "there is no model " + Quote(route.name);
    if (!route.version.empty()) text += " of version " + Quote(route.version);
    return response.Error(NotFound(text));
  }
  const bool ready = model->state == engine::ModelState::kReady;
  if (!ready) response.status = route.version.empty() ? 400 : 503;
  response.body.Append("{\"name\":");
  tensor::AppendJsonString(model->name, &response.body);
  response.body.Append(ready ? ",\"ready\":true}" : ",\"ready\":false,\"error\":");
  if (ready) return;
  std::string text = "model " + Quote(model->name) + " version " + model->version + " is " +
                     std::string(engine::ModelStateName(model->state));
  if (!model->reason.empty()) text += ": " + model->reason;
  tensor::AppendJsonString(text, &response.body);
  response.body.Append('}');
}

// --------------------------------------------------------------------- model

bool ModelHandler::Handle(const Route& route, const Body&, Response&) {
  target_ = route.target;
  explicit_version_ = !route.version.empty();
  active_ = true;
  deadline_ns = NowNanos() + context_.options.default_deadline_ns;
  if (context_.engine.Resolve(*this, route.name, route.version)) OnProgress();
  return false;
}

void ModelHandler::OnProgress() {
  Response& response = exchange_.response();
  if (status.ok() && target_ == Target::kModelConfig) {
    // Complete since the model was loaded.
    response.body.Append(route->settings->config);
  } else if (status.ok()) {
    AppendModelMetadata(*route, *context_.engine.routes(), explicit_version_, &response.body);
  } else {
    response.Error(status);
  }
  Release();
  exchange_.Send();
}

void ModelHandler::Release() {
  if (std::exchange(active_, false)) context_.engine.Finish(*this);
}

}  // namespace mlos::http
