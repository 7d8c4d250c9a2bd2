// SPDX-License-Identifier: Apache-2.0
//
// The other half of infer_message.h: messages as the JSON that HTTP answers with.
#include <span>
#include <utility>
#include <vector>

#include "base/name.h"
#include "base/protobuf_reader.h"
#include "cli/infer_message.h"
#include "tensor/datatype.h"
#include "tensor/json_text.h"

namespace mlos::cli {
namespace {

using tensor::AppendJsonShape;
using tensor::AppendJsonString;
using tensor::Datatype;

Status NotUnderstood() { return Internal("the daemon's answer is not understood"); }

// A tensor in an answer: name, datatype and shape have these numbers in both messages.
struct Tensor {
  std::string_view name;
  std::string_view datatype;
  std::vector<int64_t> shape;
  bool in_region = false;  // it lies in the client's shared memory
};

Status ReadShape(const WireField& field, std::vector<int64_t>* shape) {
  if (field.type == WireType::kVarint) {
    shape->push_back(static_cast<int64_t>(field.value));
    return OkStatus();
  }
  std::string_view packed = field.bytes;
  while (!packed.empty()) {
    uint64_t dim = 0;
    if (!ReadVarint(&packed, &dim)) return NotUnderstood();
    shape->push_back(static_cast<int64_t>(dim));
  }
  return OkStatus();
}

StatusOr<Tensor> ReadTensor(std::string_view message) {
  Tensor tensor;
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    switch (field.number) {
      case 1:
        tensor.name = field.bytes;
        break;
      case 2:
        tensor.datatype = field.bytes;
        break;
      case 3:
        MLOS_RETURN_IF_ERROR(ReadShape(field, &tensor.shape));
        break;
      case 4: {  // a parameter: its name comes first
        FieldReader entry(field.bytes);
        WireField key;
        tensor.in_region = tensor.in_region || (entry.Next(&key) && key.number == 1 &&
                                                key.bytes == "shared_memory_region");
        break;
      }
      default:
        break;
    }
  }
  if (reader.bad()) return NotUnderstood();
  return tensor;
}

// `{"name":…,"datatype":…,"shape":…`
void AppendHead(const Tensor& tensor, Buffer* out) {
  out->Append("{\"name\":");
  AppendJsonString(tensor.name, out);
  out->Append(",\"datatype\":");
  AppendJsonString(tensor.datatype, out);
  out->Append(",\"shape\":");
  AppendJsonShape(tensor.shape, out);
}

Status AppendData(const Tensor& tensor, std::string_view bytes, Buffer* out) {
  uint64_t count = 0;
  if (!tensor::ElementCount(tensor.shape, &count)) return NotUnderstood();
  if (tensor.in_region || (bytes.empty() && count > 0)) return OkStatus();
  out->Append(",\"data\":");
  const std::span<const char> chars(bytes.data(), bytes.size());
  return tensor::AppendJsonTensor(tensor::ParseDatatype(tensor.datatype), count,
                                  std::as_bytes(chars), UINT64_MAX, out);
}

void AppendText(std::string_view name, std::string_view text, Buffer* out) {
  out->Append(out->size() > 1 ? ",\"" : "\"");
  out->Append(name);
  out->Append("\":");
  AppendJsonString(text, out);
}

void AppendTensors(std::string_view name, const std::vector<Tensor>& tensors, Buffer* out) {
  out->Append(",\"");
  out->Append(name);
  out->Append("\":[");
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i > 0) out->Append(',');
    AppendHead(tensors[i], out);
    out->Append('}');
  }
  out->Append(']');
}

}  // namespace

StatusOr<std::string> DecodeInfer(std::string_view message) {
  std::string_view model;
  std::string_view version;
  std::string_view id;
  std::vector<Tensor> outputs;
  std::vector<std::string_view> raw;
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == 1) model = field.bytes;
    if (field.number == 2) version = field.bytes;
    if (field.number == 3) id = field.bytes;
    if (field.number == 5) {
      MLOS_ASSIGN_OR_RETURN(Tensor output, ReadTensor(field.bytes));
      outputs.push_back(std::move(output));
    }
    if (field.number == 6) raw.push_back(field.bytes);
  }
  if (reader.bad() || raw.size() != outputs.size()) return NotUnderstood();
  Buffer out;
  out.Append('{');
  if (!id.empty()) AppendText("id", id, &out);
  AppendText("model_name", model, &out);
  AppendText("model_version", version, &out);
  out.Append(",\"outputs\":[");
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (i > 0) out.Append(',');
    AppendHead(outputs[i], &out);
    const Status appended = AppendData(outputs[i], raw[i], &out);
    if (!appended.ok()) {
      return Annotate(appended, "model " + Quoted(model) + ": output " + Quoted(outputs[i].name));
    }
    out.Append('}');
  }
  out.Append("]}");
  return std::string(out.view());
}

StatusOr<std::string> DecodeDescribe(std::string_view message) {
  std::string_view name;
  std::string_view platform;
  std::vector<std::string_view> versions;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if (field.number == 1) name = field.bytes;
    if (field.number == 2) versions.push_back(field.bytes);
    if (field.number == 3) platform = field.bytes;
    if (field.number != 4 && field.number != 5) continue;
    MLOS_ASSIGN_OR_RETURN(Tensor tensor, ReadTensor(field.bytes));
    (field.number == 4 ? inputs : outputs).push_back(std::move(tensor));
  }
  if (reader.bad()) return NotUnderstood();
  Buffer out;
  out.Append('{');
  AppendText("name", name, &out);
  out.Append(",\"versions\":[");
  for (size_t i = 0; i < versions.size(); ++i) {
    if (i > 0) out.Append(',');
    AppendJsonString(versions[i], &out);
  }
  out.Append(']');
  AppendText("platform", platform, &out);
  AppendTensors("inputs", inputs, &out);
  AppendTensors("outputs", outputs, &out);
  out.Append('}');
  return std::string(out.view());
}

}  // namespace mlos::cli
