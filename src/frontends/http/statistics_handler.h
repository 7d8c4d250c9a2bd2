// SPDX-License-Identifier: Apache-2.0
//
// GET /v2/models/stats and GET /v2/models/{m}[/versions/{v}]/stats.
#pragma once

#include "frontends/http/handler.h"

namespace mlos::http {

class StatisticsHandler final : public Handler {
 public:
  explicit StatisticsHandler(ApiContext& context) : context_(context) {}
  bool Handle(const Route& route, const Body& body, Response& response) override;

 private:
  ApiContext& context_;
};

}  // namespace mlos::http
