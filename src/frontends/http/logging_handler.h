// SPDX-License-Identifier: Apache-2.0
//
// GET and POST /v2/logging: the settings by the protocol's names.
#pragma once

#include "frontends/common/control_call.h"
#include "frontends/http/handler.h"

namespace mlos::http {

class LoggingHandler final : public Handler {
 public:
  LoggingHandler(ApiContext& context, Exchange& exchange)
      : exchange_(exchange), call_(context.loop, context.control) {}

  bool Handle(const Route& route, const Body& body, Response& response) override;
  void Release() override { call_.Forget(); }

 private:
  Exchange& exchange_;
  frontend::ControlCall call_;
};

}  // namespace mlos::http
