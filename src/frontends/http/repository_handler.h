// SPDX-License-Identifier: Apache-2.0
//
// POST /v2/repository/index and /v2/repository/models/{m}/load and …/unload.
#pragma once

#include "frontends/common/repository.h"
#include "frontends/http/handler.h"

namespace mlos::http {

class RepositoryHandler final : public Handler {
 public:
  RepositoryHandler(ApiContext& context, Exchange& exchange)
      : context_(context), exchange_(exchange), call_(context.loop, context.control) {}

  bool Handle(const Route& route, const Body& body, Response& response) override;
  void Release() override { call_.Forget(); }

 private:
  Status Begin(const Route& route, const Body& body);
  void Index(const Body& body, Response& response);

  ApiContext& context_;
  Exchange& exchange_;
  frontend::RepositoryCall call_;
};

}  // namespace mlos::http
