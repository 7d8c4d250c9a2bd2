// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/generate_handler.h"

#include <cstring>
#include <utility>

#include "base/clock.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

using frontend::Quote;

// One element as it is, others as an array.
Status AppendTensor(const engine::OutputTensor& output, uint64_t limit, Buffer* out) {
  uint64_t count = 0;
  if (!tensor::ElementCount(output.desc.shape(), &count)) {
    return Internal("an output's shape is invalid");
  }
  const size_t begin = out->size();
  MLOS_RETURN_IF_ERROR(tensor::AppendJsonTensor(static_cast<tensor::Datatype>(output.desc.datatype),
                                                count, output.data, limit, out));
  if (count != 1) return OkStatus();
  const size_t inside = out->size() - begin - 2;  // without the brackets
  std::memmove(out->data() + begin, out->data() + begin + 1, inside);
  out->Resize(begin + inside);
  return OkStatus();
}

}  // namespace

bool GenerateHandler::Handle(const Route& route, const Body& body, Response&) {
  stream_ = route.target == Target::kGenerateStream;
  in_hand_ = true;
  const uint64_t arrived_ns = NowNanos();
  const Status parsed = request_.Parse(body);
  Begin({.model = route.name,
         .version = route.version,
         .fault = parsed,
         .began_ns = who_.began_ns(),
         .arrived_ns = arrived_ns,
         .timeout_us = parsed.ok() ? request_.timeout_us() : 0,
         .request_id = who_.request_id(),
         .client_id = request_.id(),
         .traceparent = who_.traceparent()});
  return false;
}

// What one request took does not stay with its connection: those are many.
void GenerateHandler::Release() {
  End();
  if (std::exchange(in_hand_, false)) request_ = {};
}

StatusOr<frontend::CallSteps::Turn> GenerateHandler::Plan(const engine::ModelRoute& route,
                                                          tensor::RequestPlan* plan) {
  MLOS_RETURN_IF_ERROR(request_.Plan(route.name, *route.info, plan));
  return Turn::kDone;
}

StatusOr<frontend::CallSteps::Turn> GenerateHandler::Fill(const tensor::RequestPlan& plan,
                                                          std::span<std::byte> block) {
  request_.Fill(plan, block);
  return Turn::kDone;
}

Status GenerateHandler::EncodeAnswer(Buffer* out) {
  out->Append('{');
  if (!request_.id().empty()) {
    out->Append("\"id\":");
    tensor::AppendJsonString(request_.id(), out);
    out->Append(',');
  }
  out->Append("\"model_name\":");
  tensor::AppendJsonString(model().name, out);
  out->Append(",\"model_version\":");
  tensor::AppendJsonString(model().version, out);
  for (const frontend::AnswerTensor& output : answer()) {
    const TensorInfo& info = model().info->outputs[output.tensor->desc.index];
    out->Append(',');
    tensor::AppendJsonString(info.name, out);
    out->Append(':');
    const Status printed =
        AppendTensor(*output.tensor, context_.options.max_json_response_bytes, out);
    if (!printed.ok()) return Annotate(printed, "output " + Quote(info.name));
  }
  out->Append('}');
  return OkStatus();
}

Status GenerateHandler::Encode(const Status& status, bool never) {
  Response& response = exchange_.response();
  Status result = status;
  if (result.ok()) {
    if (stream_) response.body.Append("data: ");
    result = EncodeAnswer(&response.body);
  }
  if (!result.ok()) {
    response.CallError(result, never);
  } else if (stream_) {
    response.body.Append("\n\n");
    response.content_type = "text/event-stream; charset=utf-8";
  }
  return result;
}

}  // namespace mlos::http
