// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_request.h"

#include "base/protobuf_reader.h"
#include "base/utf8.h"
#include "frontends/common/infer_plan.h"
#include "frontends/grpc/infer_parameters.h"

namespace mlos::grpc {
namespace {

using frontend::Form;
using frontend::Quote;
using tensor::Datatype;

// Numbers of fields (proto/inference.proto).
namespace field {
enum Request : uint32_t {
  kModelName = 1,
  kModelVersion = 2,
  kId = 3,
  kParameters = 4,
  kInputs = 5,
  kOutputs = 6,
};
enum Input : uint32_t { kName = 1, kDatatype = 2, kShape = 3, kInputParameters = 4, kContents = 5 };
enum Output : uint32_t { kOutputName = 1, kOutputParameters = 2 };
}  // namespace field

// Of all that is not elements of tensors: it is read in one go.
constexpr size_t kMostHeadBytes = 1 << 20;
constexpr size_t kLeastField = 2;

Status Damaged() { return InvalidArgument("the message is no ModelInferRequest: it is damaged"); }

// A text that is given twice counts as the last, as everywhere with this format.
Status ReadText(const WireField& from, std::string_view what, std::string_view* text) {
  if (from.type != WireType::kBytes) return Damaged();
  if (!IsUtf8(from.bytes)) {
    return InvalidArgument("the message is no ModelInferRequest: its " + std::string(what) +
                           " is not valid UTF-8");
  }
  *text = from.bytes;
  return OkStatus();
}

Status AddDimension(uint64_t value, tensor::TensorDesc* desc) {
  if (desc->rank == tensor::kMaxRank) {
    return InvalidArgument("has more than " + std::to_string(tensor::kMaxRank) + " dimensions");
  }
  const auto dim = static_cast<int64_t>(value);
  if (dim < 0) return InvalidArgument("has the dimension " + std::to_string(dim));
  desc->dims[desc->rank++] = dim;
  return OkStatus();
}

// Packed, as encoders write it, or number by number.
Status ReadShape(const WireField& from, tensor::TensorDesc* desc) {
  if (from.type == WireType::kVarint) return AddDimension(from.value, desc);
  if (from.type != WireType::kBytes) return Damaged();
  std::string_view packed = from.bytes;
  while (!packed.empty()) {
    uint64_t value = 0;
    if (!ReadVarint(&packed, &value)) return Damaged();
    MLOS_RETURN_IF_ERROR(AddDimension(value, desc));
  }
  return OkStatus();
}

Status ReadDatatype(const WireField& from, tensor::TensorDesc* desc) {
  std::string_view name;
  MLOS_RETURN_IF_ERROR(ReadText(from, "datatype", &name));
  const Datatype datatype = tensor::ParseDatatype(name);
  if (datatype == Datatype::kInvalid) {
    return InvalidArgument(Quote(name) + " is not a datatype of the protocol");
  }
  desc->datatype = static_cast<uint32_t>(datatype);
  return OkStatus();
}

Status CountHead(const WireField& from, InferRequest* request) {
  request->head_bytes += kLeastField + from.bytes.size();
  if (request->head_bytes <= kMostHeadBytes) return OkStatus();
  return InvalidArgument("the request has more than " + std::to_string(kMostHeadBytes) +
                         " bytes beside its tensors' elements");
}

Status ReadInputField(const WireField& from, InferInput* input, InferRequest* request) {
  if (from.number != field::kContents) MLOS_RETURN_IF_ERROR(CountHead(from, request));
  switch (from.number) {
    case field::kName:
      return ReadText(from, "input's name", &input->name);
    case field::kDatatype:
      return ReadDatatype(from, &input->desc);
    case field::kShape:
      return ReadShape(from, &input->desc);
    case field::kInputParameters:
      return ReadInputParameter(from, &input->place);
    case field::kContents:
      if (from.type != WireType::kBytes) return Damaged();
      if (input->form == Form::kElements) return InvalidArgument("has contents twice");
      input->form = Form::kElements;
      input->contents = from.bytes;
      return OkStatus();
    default:
      return OkStatus();  // of a later version of the protocol
  }
}

Status ReadInput(const WireField& from, InferRequest* request) {
  if (from.type != WireType::kBytes) return Damaged();
  if (request->inputs.size() == kMostTensors) {
    return InvalidArgument("the request has more than " + std::to_string(kMostTensors) + " inputs");
  }
  InferInput& input = request->inputs.emplace_back();
  FieldReader reader(from.bytes);
  WireField f;
  Status status;
  while (status.ok() && reader.Next(&f)) status = ReadInputField(f, &input, request);
  if (reader.bad()) return Damaged();
  if (status.ok()) status = CheckPlace(input.place);
  if (status.ok() && input.desc.datatype == 0) status = InvalidArgument("has no datatype");
  if (status.ok() && input.place.given()) {
    if (input.form == Form::kElements) {
      status = InvalidArgument("has contents and a place in shared memory: give one of them");
    }
    input.form = Form::kRegion;
    input.given_bytes = input.place.bytes.value_or(0);
  }
  return status.ok() ? status : Annotate(status, "input " + Quote(input.name));
}

Status ReadOutput(const WireField& from, InferRequest* request) {
  if (from.type != WireType::kBytes) return Damaged();
  if (request->outputs.size() == kMostTensors) {
    return InvalidArgument("the request asks for more than " + std::to_string(kMostTensors) +
                           " outputs");
  }
  frontend::AskedOutput& output = request->outputs.emplace_back();
  bool classified = false;
  FieldReader reader(from.bytes);
  WireField f;
  Status status;
  while (status.ok() && reader.Next(&f)) {
    if (f.number == field::kOutputName) {
      status = ReadText(f, "output's name", &output.name);
    } else if (f.number == field::kOutputParameters) {
      status = ReadOutputParameter(f, &output, &classified);
    }
  }
  if (reader.bad()) return Damaged();
  if (status.ok()) status = CheckPlace(output.place);
  if (status.ok() && output.place.given()) {
    if (output.classes > 0) {
      status = InvalidArgument("\"classification\" does not go with shared memory");
    }
    output.form = Form::kRegion;
  }
  return status.ok() ? status : Annotate(status, "output " + Quote(output.name));
}

Status ReadField(const WireField& from, InferRequest* request) {
  if (from.number != field::kInputs) MLOS_RETURN_IF_ERROR(CountHead(from, request));
  switch (from.number) {
    case field::kModelName:
      return ReadText(from, "model_name", &request->model);
    case field::kModelVersion:
      return ReadText(from, "model_version", &request->version);
    case field::kId:
      return ReadText(from, "id", &request->id);
    case field::kParameters:
      return ReadRequestParameter(from, request);
    case field::kInputs:
      return ReadInput(from, request);
    case field::kOutputs:
      return ReadOutput(from, request);
    default:
      return OkStatus();
  }
}

}  // namespace

void InferRequest::Clear() {
  model = version = id = {};
  head_bytes = 0;
  inputs.clear();
  outputs.clear();
  ClearParameters();
}

Status DecodeInferRequest(std::string_view message, InferRequest* request) {
  request->Clear();
  FieldReader reader(message);
  WireField f;
  while (reader.Next(&f)) MLOS_RETURN_IF_ERROR(ReadField(f, request));
  if (reader.bad()) return Damaged();
  frontend::EndCustom(request);
  return OkStatus();
}

}  // namespace mlos::grpc
