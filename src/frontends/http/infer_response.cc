// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_response.h"

#include <algorithm>

#include "frontends/http/json_text.h"

namespace mlos::http {
namespace {

using engine::OutputTensor;
using frontend::Quote;

// The outputs come in ascending order; the client gets them in its own.
struct Wanted {
  const OutputTensor* tensor = nullptr;
  bool binary = false;
  const RegionPlace* place = nullptr;  // in a client's shared memory
};

Wanted Find(const InferRequest& request, std::span<const OutputTensor> outputs, size_t i) {
  if (request.outputs.empty()) return {&outputs[i], request.binary_default};
  const InferOutput& asked = request.outputs[i];
  const auto at = std::find_if(outputs.begin(), outputs.end(),
                               [&](const OutputTensor& t) { return t.desc.index == asked.index; });
  const bool binary =
      asked.form == Form::kUnset ? request.binary_default : asked.form == Form::kBinary;
  return {at == outputs.end() ? nullptr : &*at, binary,
          asked.form == Form::kRegion ? &asked.place : nullptr};
}

Status WriteToRegion(const OutputTensor& tensor, const RegionPlace& place) {
  if (tensor.data.size() > *place.bytes) {
    return Internal("needs " + std::to_string(tensor.data.size()) +
                    " bytes of shared memory, and \"shared_memory_byte_size\" is " +
                    std::to_string(*place.bytes));
  }
  return place.pin->Write(place.offset.value_or(0), tensor.data);
}

Status AboutOutput(std::string_view model, const TensorInfo& info, const Status& status) {
  return Annotate(status, "model " + Quote(model) + ": output " + Quote(info.name));
}

Status AppendOutput(std::string_view model, const TensorInfo& info, const Wanted& wanted,
                    uint64_t max_json_bytes, Buffer* out) {
  const tensor::TensorDesc& desc = wanted.tensor->desc;
  const auto datatype = static_cast<tensor::Datatype>(desc.datatype);
  out->Append("{\"name\":");
  AppendJsonString(info.name, out);
  out->Append(",\"datatype\":\"");
  out->Append(tensor::DatatypeName(datatype));
  out->Append("\",\"shape\":");
  AppendJsonShape(desc.shape(), out);
  if (wanted.binary) {
    out->Append(",\"parameters\":{\"binary_data_size\":");
    AppendJsonInt(static_cast<int64_t>(wanted.tensor->data.size()), out);
    out->Append("}}");
    return OkStatus();
  }
  if (wanted.place != nullptr) {
    const Status written = WriteToRegion(*wanted.tensor, *wanted.place);
    if (!written.ok()) return AboutOutput(model, info, written);
    out->Append('}');
    return OkStatus();
  }
  // No "parameters" here: some clients then insist on binary_data_size.
  out->Append(",\"data\":");
  uint64_t count = 0;
  if (!tensor::ElementCount(desc.shape(), &count)) return Internal("an output's shape is invalid");
  const Status printed =
      AppendJsonTensor(datatype, count, wanted.tensor->data, max_json_bytes, out);
  // The context is put together only where it is needed: it allocates.
  if (!printed.ok()) {
    return AboutOutput(model, info, printed);
  }
  out->Append('}');
  return OkStatus();
}

void AppendBlobs(const InferRequest& request, std::span<const OutputTensor> outputs, size_t count,
                 uint64_t blob_bytes, Response* response) {
  const bool copy = blob_bytes <= kCopiedBlobBytes;
  for (size_t i = 0; i < count; ++i) {
    const Wanted wanted = Find(request, outputs, i);
    if (!wanted.binary || wanted.tensor->data.empty()) continue;
    const auto data = wanted.tensor->data;
    if (copy) {
      response->body.Append({reinterpret_cast<const char*>(data.data()), data.size()});
    } else {
      response->blobs.push_back(data);
    }
  }
}

}  // namespace

Status EncodeInferResponse(std::string_view model, std::string_view version, const ModelInfo& info,
                           const InferRequest& request, std::span<const OutputTensor> outputs,
                           uint64_t max_json_bytes, Response* response) {
  Buffer& out = response->body;
  out.Append('{');
  if (!request.id.empty()) {
    out.Append("\"id\":");
    AppendJsonString(request.id, &out);
    out.Append(',');
  }
  out.Append("\"model_name\":");
  AppendJsonString(model, &out);
  out.Append(",\"model_version\":");
  AppendJsonString(version, &out);
  out.Append(",\"outputs\":[");
  const size_t count = request.outputs.empty() ? outputs.size() : request.outputs.size();
  uint64_t blob_bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const Wanted wanted = Find(request, outputs, i);
    if (wanted.tensor == nullptr || wanted.tensor->desc.index >= info.outputs.size()) {
      return Internal("the model left out an output that was asked for");
    }
    if (i > 0) out.Append(',');
    MLOS_RETURN_IF_ERROR(
        AppendOutput(model, info.outputs[wanted.tensor->desc.index], wanted, max_json_bytes, &out));
    if (wanted.binary) blob_bytes += wanted.tensor->data.size();
  }
  out.Append("]}");
  if (blob_bytes == 0) return OkStatus();
  response->binary = true;
  response->json_length = static_cast<int64_t>(out.size());
  AppendBlobs(request, outputs, count, blob_bytes, response);
  return OkStatus();
}

}  // namespace mlos::http
