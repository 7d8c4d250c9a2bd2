// SPDX-License-Identifier: Apache-2.0
//
// POST /v2/models/{m}[/versions/{v}]/generate and /generate_stream: an
// inference whose request and answer are plain JSON objects.  A model gives
// one answer; the stream is one event.
#pragma once

#include "frontends/common/call_steps.h"
#include "frontends/http/generate_request.h"
#include "frontends/http/handler.h"

namespace mlos::http {

class GenerateHandler final : public Handler, private frontend::CallSteps {
 public:
  GenerateHandler(ApiContext& context, Exchange& exchange, const frontend::RequestContext& request)
      : CallSteps(context.calls), context_(context), exchange_(exchange), who_(request) {}

  bool Handle(const Route& route, const Body& body, Response& response) override;
  void Release() override;

 private:
  StatusOr<Turn> Plan(const engine::ModelRoute& route, tensor::RequestPlan* plan) override;
  StatusOr<Turn> Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) override;
  Status Encode(const Status& status, bool never) override;
  void Deliver() override { exchange_.Send(); }
  Status EncodeAnswer(Buffer* out);

  ApiContext& context_;
  Exchange& exchange_;
  const frontend::RequestContext& who_;
  bool stream_ = false;
  bool in_hand_ = false;
  GenerateRequest request_;
};

}  // namespace mlos::http
