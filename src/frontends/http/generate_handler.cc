// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/generate_handler.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "frontends/http/json_text.h"

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
  MLOS_RETURN_IF_ERROR(AppendJsonTensor(static_cast<tensor::Datatype>(output.desc.datatype), count,
                                        output.data, limit, out));
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
  parsed_ = request_.Parse(body);
  uint64_t allowed_ns = context_.options.default_deadline_ns;
  if (parsed_.ok() && request_.timeout_us() > 0) {
    allowed_ns =
        std::min(request_.timeout_us(), context_.options.max_deadline_ns / kNanosPerMicro) *
        kNanosPerMicro;
  }
  Begin({.model = route.name,
         .version = route.version,
         .arrived_ns = NowNanos(),
         .allowed_ns = allowed_ns,
         .request_id = who_.request_id(),
         .tracer = context_.tracer,
         .arrival = {.request_id = request_.id().empty() ? who_.request_id() : request_.id(),
                     .traceparent = who_.traceparent()}});
  return false;
}

// What one request took does not stay with its connection: those are many.
void GenerateHandler::Release() {
  End();
  if (std::exchange(in_hand_, false)) request_ = {};
}

Status GenerateHandler::Plan(const engine::ModelRoute& route, tensor::RequestPlan* plan) {
  MLOS_RETURN_IF_ERROR(parsed_);
  return request_.Plan(route.name, *route.info, plan);
}

Status GenerateHandler::Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) {
  request_.Fill(plan, block);
  return OkStatus();
}

Status GenerateHandler::EncodeAnswer(Buffer* out) {
  out->Append('{');
  if (!request_.id().empty()) {
    out->Append("\"id\":");
    AppendJsonString(request_.id(), out);
    out->Append(',');
  }
  out->Append("\"model_name\":");
  AppendJsonString(model().name, out);
  out->Append(",\"model_version\":");
  AppendJsonString(model().version, out);
  for (const engine::OutputTensor& output : answer()) {
    const TensorInfo& info = model().info->outputs[output.desc.index];
    out->Append(',');
    AppendJsonString(info.name, out);
    out->Append(':');
    const Status printed = AppendTensor(output, context_.options.max_json_response_bytes, out);
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
    response.Error(result);
    if (never) {
      response.status = 413;
      response.retry_after = false;
    }
  } else if (stream_) {
    response.body.Append("\n\n");
    response.content_type = "text/event-stream; charset=utf-8";
  }
  return result;
}

}  // namespace mlos::http
