// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_response.h"

#include <utility>

#include "frontends/common/infer_plan.h"
#include "tensor/json_text.h"

namespace mlos::http {
namespace {

using frontend::AnswerTensor;
using frontend::Quote;

bool IsBinary(const InferRequest& request, const AnswerTensor& answer) {
  if (answer.asked == nullptr || answer.asked->form == Form::kUnset) return request.binary_default;
  return answer.asked->form == Form::kBinary;
}

Status AboutOutput(std::string_view model, const TensorInfo& info, const Status& status) {
  return Annotate(status, "model " + Quote(model) + ": output " + Quote(info.name));
}

Status AppendOutput(std::string_view model, const TensorInfo& info, const AnswerTensor& answer,
                    bool binary, uint64_t max_json_bytes, Buffer* out) {
  const tensor::TensorDesc& desc = answer.tensor->desc;
  const auto datatype = static_cast<tensor::Datatype>(desc.datatype);
  out->Append("{\"name\":");
  tensor::AppendJsonString(info.name, out);
  out->Append(",\"datatype\":\"");
  out->Append(tensor::DatatypeName(datatype));
  out->Append("\",\"shape\":");
  tensor::AppendJsonShape(desc.shape(), out);
  if (binary) {
    out->Append(",\"parameters\":{\"binary_data_size\":");
    tensor::AppendJsonInt(static_cast<int64_t>(answer.tensor->data.size()), out);
    out->Append("}}");
    return OkStatus();
  }
  if (answer.asked != nullptr && answer.asked->form == Form::kRegion) {  // it is there already
    out->Append('}');
    return OkStatus();
  }
  // No "parameters" here: some clients then insist on binary_data_size.
  out->Append(",\"data\":");
  uint64_t count = 0;
  if (!tensor::ElementCount(desc.shape(), &count)) return Internal("an output's shape is invalid");
  const Status printed =
      tensor::AppendJsonTensor(datatype, count, answer.tensor->data, max_json_bytes, out);
  // The context is put together only where it is needed: it allocates.
  if (!printed.ok()) {
    return AboutOutput(model, info, printed);
  }
  out->Append('}');
  return OkStatus();
}

void AppendBlobs(const InferRequest& request, std::span<const AnswerTensor> answer,
                 uint64_t blob_bytes, Response* response) {
  const bool copy = blob_bytes <= kCopiedBlobBytes;
  for (const AnswerTensor& output : answer) {
    const auto data = output.tensor->data;
    if (!IsBinary(request, output) || data.empty()) continue;
    if (copy) {
      response->body.Append({reinterpret_cast<const char*>(data.data()), data.size()});
    } else {
      response->blobs.push_back(data);
    }
  }
}

}  // namespace

Status EncodeInferResponse(std::string_view model, std::string_view version, const ModelInfo& info,
                           const InferRequest& request, std::span<const AnswerTensor> answer,
                           uint64_t max_json_bytes, Response* response) {
  Buffer& out = response->body;
  out.Append('{');
  if (!request.id.empty()) {
    out.Append("\"id\":");
    tensor::AppendJsonString(request.id, &out);
    out.Append(',');
  }
  out.Append("\"model_name\":");
  tensor::AppendJsonString(model, &out);
  out.Append(",\"model_version\":");
  tensor::AppendJsonString(version, &out);
  out.Append(",\"outputs\":[");
  uint64_t blob_bytes = 0;
  bool first = true;
  for (const AnswerTensor& output : answer) {
    if (!std::exchange(first, false)) out.Append(',');
    const bool binary = IsBinary(request, output);
    MLOS_RETURN_IF_ERROR(AppendOutput(model, info.outputs[output.tensor->desc.index], output,
                                      binary, max_json_bytes, &out));
    if (binary) blob_bytes += output.tensor->data.size();
  }
  out.Append("]}");
  if (blob_bytes == 0) return OkStatus();
  response->binary = true;
  response->json_length = static_cast<int64_t>(out.size());
  AppendBlobs(request, answer, blob_bytes, response);
  return OkStatus();
}

}  // namespace mlos::http
