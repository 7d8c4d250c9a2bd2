// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_handler.h"

#include "base/clock.h"
#include "frontends/http/infer_response.h"

namespace mlos::http {
namespace {

// Tensors of one request whose memory is kept for the next: connections are
// many, and what the largest request once took would stay with each.
constexpr size_t kKeptTensors = 64;

}  // namespace

void InferHandler::Start(const Route& route, const Body& body, int64_t json_length,
                         compress::Coding coding) {
  model_ = route.name;
  coding_ = coding;
  const uint64_t arrived_ns = NowNanos();
  const Status parsed = context_.decoder.Parse(body, json_length, &request_);
  Begin({.model = route.name,
         .version = route.version,
         .fault = parsed,
         .began_ns = who_.began_ns(),
         .arrived_ns = arrived_ns,
         .timeout_us = parsed.ok() ? request_.timeout_us : 0,
         .request_id = who_.request_id(),
         .client_id = request_.id,
         .traceparent = who_.traceparent()});
}

StatusOr<frontend::CallSteps::Turn> InferHandler::Plan(const engine::ModelRoute& route,
                                                       tensor::RequestPlan* plan) {
  MLOS_RETURN_IF_ERROR(context_.decoder.Plan(model_, *route.info, &request_, plan));
  Ask(request_.outputs);
  return Turn::kDone;
}

StatusOr<frontend::CallSteps::Turn> InferHandler::Fill(const tensor::RequestPlan& plan,
                                                       std::span<std::byte> block) {
  MLOS_RETURN_IF_ERROR(InferDecoder::Fill(model_, request_, plan, block));
  return Turn::kDone;
}

Status InferHandler::Encode(const Status& status, bool never) {
  Response& response = exchange_.response();
  Status result = status;
  if (result.ok()) {
    response.coding = coding_;
    result = EncodeInferResponse(model_, model().version, *model().info, request_, answer(),
                                 context_.options.max_json_response_bytes, &response);
  }
  if (!result.ok()) response.CallError(result, never);
  // Outputs that are sent from where they lie are kept until Release.
  if (!response.blobs.empty()) KeepOutputs();
  return result;
}

void InferHandler::Deliver() {
  if (!keeps_outputs()) LetGo();
  exchange_.Send();
}

void InferHandler::Release() {
  End();
  LetGo();
}

void InferHandler::LetGo() {
  context_.decoder.Trim();
  request_.ReleaseRegions();
  if (request_.inputs.capacity() + request_.outputs.capacity() > kKeptTensors) request_ = {};
}

}  // namespace mlos::http
