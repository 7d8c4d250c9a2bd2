// SPDX-License-Identifier: Apache-2.0
//
// What is said of the server and its models: health, readiness, metadata,
// configuration.  Metadata or configuration of a model that is registered on
// demand loads it; readiness only looks.
#pragma once

#include "engine/engine.h"
#include "frontends/http/handler.h"

namespace mlos::http {

class ServerHandler final : public Handler {
 public:
  explicit ServerHandler(ApiContext& context) : context_(context) {}

  bool Handle(const Route& route, const Body& body, Response& response) override;

 private:
  void ServerReady(Response& response) const;
  void ModelReady(const Route& route, Response& response) const;

  ApiContext& context_;
};

class ModelHandler final : public Handler, private engine::Call {
 public:
  ModelHandler(ApiContext& context, Exchange& exchange) : context_(context), exchange_(exchange) {}

  bool Handle(const Route& route, const Body& body, Response& response) override;
  void Release() override;

 private:
  void OnProgress() override;

  ApiContext& context_;
  Exchange& exchange_;
  Target target_ = Target::kModelMetadata;
  bool explicit_version_ = false;
  bool active_ = false;
};

}  // namespace mlos::http
