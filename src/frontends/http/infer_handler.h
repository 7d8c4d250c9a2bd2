// SPDX-License-Identifier: Apache-2.0
//
// POST /v2/models/{m}[/versions/{v}]/infer: what of an inference is HTTP's.  One
// per connection, reused.
//
// Threads: the event loop's.  Lifetime: the session's.
#pragma once

#include <cstdint>

#include "frontends/common/call_steps.h"
#include "frontends/common/request_context.h"
#include "frontends/http/api_context.h"
#include "frontends/http/exchange.h"
#include "frontends/http/router.h"

namespace mlos::http {

class InferHandler final : private frontend::CallSteps {
 public:
  // `who` is of the request in hand, whichever that is.
  InferHandler(ApiContext& context, Exchange& exchange, const frontend::RequestContext& who)
      : CallSteps(context.calls), context_(context), exchange_(exchange), who_(who) {}

  // Ends in exchange.Send().  `route` and `body` stay until Release; `coding`
  // is how the client would take the answer.
  void Start(const Route& route, const Body& body, int64_t json_length, compress::Coding coding);
  // The answer is out, or nobody wants it any more.
  void Release();

 private:
  StatusOr<Turn> Plan(const engine::ModelRoute& route, tensor::RequestPlan* plan) override;
  StatusOr<Turn> Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) override;
  Status Encode(const Status& status, bool never) override;
  void Deliver() override;
  void LetGo();

  ApiContext& context_;
  Exchange& exchange_;
  const frontend::RequestContext& who_;
  std::string_view model_;
  compress::Coding coding_ = compress::Coding::kIdentity;
  InferRequest request_;
};

}  // namespace mlos::http
