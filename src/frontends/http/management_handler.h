// SPDX-License-Identifier: Apache-2.0
//
// The operations below /api/v1: arguments in, an object or an error in the
// management form out.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "frontends/common/control_call.h"
#include "frontends/http/handler.h"

namespace mlos::http {

class ManagementHandler final : public Handler {
 public:
  ManagementHandler(ApiContext& context, Exchange& exchange)
      : exchange_(exchange), call_(context.loop, context.control) {}

  bool Handle(const Route& route, const Body& body, Response& response) override;
  void Release() override { call_.Forget(); }

 private:
  void OnOutcome(const control::Outcome& outcome, std::string_view text);

  Exchange& exchange_;
  frontend::ControlCall call_;
};

// A body that is one JSON object, or nothing where `required` is false.
Status ParseObjectBody(const Body& body, bool required, boost::json::object* object);

}  // namespace mlos::http
