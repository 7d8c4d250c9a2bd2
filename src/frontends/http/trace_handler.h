// SPDX-License-Identifier: Apache-2.0
//
// GET and POST /v2/trace/setting and /v2/models/{m}/trace/setting.
#pragma once

#include "frontends/common/control_call.h"
#include "frontends/http/handler.h"

namespace mlos::http {

class TraceHandler final : public Handler {
 public:
  TraceHandler(ApiContext& context, Exchange& exchange)
      : exchange_(exchange), call_(context.loop, context.control) {}

  bool Handle(const Route& route, const Body& body, Response& response) override;
  void Release() override { call_.Forget(); }

 private:
  Exchange& exchange_;
  frontend::ControlCall call_;
};

}  // namespace mlos::http
