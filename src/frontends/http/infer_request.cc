// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_request.h"

#include <simdjson.h>

#include <bit>
#include <cstring>
#include <optional>

#include "frontends/http/infer_parameters.h"
#include "frontends/http/json_numbers.h"
#include "frontends/http/json_read.h"
#include "frontends/http/options.h"

namespace mlos::http {
namespace {

namespace od = simdjson::ondemand;
using frontend::Quote;
using simdjson::error_code;
using tensor::Datatype;

static_assert(std::endian::native == std::endian::little, "the wire form is little-endian");
static_assert(kBodyPadding >= simdjson::SIMDJSON_PADDING);

// Parser memory that is kept between requests.
constexpr size_t kKeptCapacity = 8 << 20;

std::string InputPrefix(std::string_view model, std::string_view input) {
  return "model " + Quote(model) + ": input " + Quote(input);
}

}  // namespace

void InferRequest::Clear() {
  body = {};
  json_bytes = 0;
  id = {};
  timeout_us = 0;
  binary_default = false;
  inputs.clear();
  outputs.clear();
  parameters.clear();
  document = 0;
  kept_.clear();
}

std::string_view InferRequest::Keep(std::string_view text) {
  kept_.emplace_back(text);
  return kept_.back();
}

struct InferDecoder::Impl {
  // The document being read; `number` tells whose it is.
  od::parser parser;
  od::document document;
  uint64_t number = 0;
  frontend::PlanBuilder builder;
  std::vector<tensor::TensorDesc> descs;

  Status Iterate(InferRequest* request);
  Status Rewind(InferRequest* request);
  Status ParseDocument(InferRequest* request);
  Status ParseInputs(od::value value, InferRequest* request);
  Status ParseInput(od::object object, InferRequest* request);
  Status ParseOutputs(od::value value, InferRequest* request);
  Status PlaceBlobs(InferRequest* request);
  Status PlanRaw(std::string_view model, const ModelInfo& info, InferRequest* request);
  Status CheckSize(std::string_view model, const InferRequest& request, InferInput* input);
  Status MeasureBytesInputs(std::string_view model, InferRequest* request);
  // Calls f(input, data) for every input whose elements are JSON.
  template <typename F>
  Status ForEachJsonInput(InferRequest* request, F f);
};

InferDecoder::InferDecoder() : impl_(std::make_unique<Impl>()) {}
InferDecoder::~InferDecoder() = default;

void InferDecoder::Trim() {
  if (impl_->parser.capacity() <= kKeptCapacity) return;
  impl_->parser = od::parser();
  ++impl_->number;
}

// ------------------------------------------------------------------- Parse

Status InferDecoder::Parse(const Body& body, int64_t json_length, InferRequest* request) {
  request->Clear();
  request->body = body;
  if (json_length > 0 && static_cast<uint64_t>(json_length) > body.size) {
    return InvalidArgument("Inference-Header-Content-Length is " + std::to_string(json_length) +
                           " but the body has only " + std::to_string(body.size) + " bytes");
  }
  request->json_bytes = json_length < 0 ? body.size : static_cast<uint64_t>(json_length);
  if (json_length == 0) {
    request->binary_default = true;
    return OkStatus();
  }
  if (request->json_bytes == 0) return InvalidArgument("the body is empty");
  MLOS_RETURN_IF_ERROR(impl_->Iterate(request));
  MLOS_RETURN_IF_ERROR(impl_->ParseDocument(request));
  return impl_->PlaceBlobs(request);
}

Status InferDecoder::Impl::Iterate(InferRequest* request) {
  // In powers of two, or every request that is a little larger than the last
  // would allocate.
  if (parser.capacity() < request->json_bytes) {
    const size_t capacity = std::max<size_t>(std::bit_ceil(request->json_bytes), 16 << 10);
    if (parser.allocate(capacity) != simdjson::SUCCESS) {
      return ResourceExhausted("no memory to read a request of " +
                               std::to_string(request->json_bytes) + " bytes");
    }
  }
  request->document = ++number;
  const error_code error =
      parser.iterate(request->body.data, request->json_bytes, request->body.size + kBodyPadding)
          .get(document);
  if (error == simdjson::SUCCESS) return OkStatus();
  return InvalidArgument("the request is not valid JSON (" +
                         std::string(simdjson::error_message(error)) + ")");
}

Status InferDecoder::Impl::Rewind(InferRequest* request) {
  if (request->document != number) return Iterate(request);
  document.rewind();
  return OkStatus();
}

Status InferDecoder::Impl::ParseDocument(InferRequest* request) {
  od::object root;
  if (document.get_object().get(root) != simdjson::SUCCESS) {
    return InvalidArgument("the request is not one complete JSON object");
  }
  Once seen;
  for (auto member : root) {
    od::field field;
    MLOS_RETURN_IF_ERROR(JsonOk(std::move(member).get(field)));
    const od::raw_json_string key = field.key();
    if (key == "inputs") {
      MLOS_RETURN_IF_ERROR(seen.Mark(0, "inputs"));
      MLOS_RETURN_IF_ERROR(ParseInputs(field.value(), request));
    } else if (key == "outputs") {
      MLOS_RETURN_IF_ERROR(seen.Mark(1, "outputs"));
      MLOS_RETURN_IF_ERROR(ParseOutputs(field.value(), request));
    } else if (key == "id") {
      MLOS_RETURN_IF_ERROR(seen.Mark(2, "id"));
      MLOS_RETURN_IF_ERROR(ReadString(field.value(), "id", request, &request->id));
    } else if (key == "parameters") {
      MLOS_RETURN_IF_ERROR(seen.Mark(3, "parameters"));
      MLOS_RETURN_IF_ERROR(ParseRequestParameters(field.value(), request));
    }
  }
  // Nothing may follow the object.
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return InvalidArgument("the request has something after its JSON object");
  }
  if (!seen.Has(0)) return InvalidArgument("the request has no \"inputs\"");
  return OkStatus();
}

Status InferDecoder::Impl::ParseInputs(od::value value, InferRequest* request) {
  od::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) {
    return InvalidArgument("\"inputs\" is not an array");
  }
  for (auto element : array) {
    od::value item;
    MLOS_RETURN_IF_ERROR(JsonOk(element.get(item)));
    od::object object;
    if (item.get_object().get(object) != simdjson::SUCCESS) {
      return InvalidArgument("an element of \"inputs\" is not an object");
    }
    if (request->inputs.size() == tensor::kMaxTensors) {
      return InvalidArgument("the request has more than " + std::to_string(tensor::kMaxTensors) +
                             " inputs");
    }
    MLOS_RETURN_IF_ERROR(ParseInput(object, request));
  }
  return OkStatus();
}

Status InferDecoder::Impl::ParseInput(od::object object, InferRequest* request) {
  InferInput& input = request->inputs.emplace_back();
  Once seen;
  bool has_data = false;
  std::optional<uint64_t> binary_size;
  for (auto member : object) {
    od::field field;
    MLOS_RETURN_IF_ERROR(JsonOk(std::move(member).get(field)));
    const od::raw_json_string key = field.key();
    if (key == "name") {
      MLOS_RETURN_IF_ERROR(seen.Mark(0, "name"));
      MLOS_RETURN_IF_ERROR(ReadString(field.value(), "name", request, &input.name));
    } else if (key == "datatype") {
      MLOS_RETURN_IF_ERROR(seen.Mark(1, "datatype"));
      std::string_view name;
      MLOS_RETURN_IF_ERROR(ReadString(field.value(), "datatype", request, &name));
      const Datatype datatype = tensor::ParseDatatype(name);
      if (datatype == Datatype::kInvalid) {
        return InvalidArgument("input " + Quote(input.name) + ": " + Quote(name) +
                               " is not a datatype of the protocol");
      }
      input.desc.datatype = static_cast<uint32_t>(datatype);
    } else if (key == "shape") {
      MLOS_RETURN_IF_ERROR(seen.Mark(2, "shape"));
      MLOS_RETURN_IF_ERROR(
          Annotate(ReadShape(field.value(), &input.desc), "input " + Quote(input.name)));
    } else if (key == "data") {
      MLOS_RETURN_IF_ERROR(seen.Mark(3, "data"));
      has_data = true;  // looked at by Fill
    } else if (key == "parameters") {
      MLOS_RETURN_IF_ERROR(seen.Mark(4, "parameters"));
      MLOS_RETURN_IF_ERROR(Annotate(ParseInputParameters(field.value(), &binary_size),
                                    "input " + Quote(input.name)));
    }
  }
  constexpr std::string_view kRequired[] = {"name", "datatype", "shape"};
  for (size_t i = 0; i < std::size(kRequired); ++i) {
    if (!seen.Has(i)) {
      return InvalidArgument("input " + Quote(input.name) + " (number " +
                             std::to_string(request->inputs.size()) + ") has no \"" +
                             std::string(kRequired[i]) + "\"");
    }
  }
  if (has_data == binary_size.has_value()) {
    return InvalidArgument("input " + Quote(input.name) +
                           " needs either \"data\" or the parameter \"binary_data_size\"" +
                           (has_data ? ", not both" : ""));
  }
  input.form = has_data ? Form::kJson : Form::kBinary;
  input.blob_bytes = binary_size.value_or(0);
  return OkStatus();
}

Status InferDecoder::Impl::ParseOutputs(od::value value, InferRequest* request) {
  od::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) {
    return InvalidArgument("\"outputs\" is not an array");
  }
  for (auto element : array) {
    od::value item;
    MLOS_RETURN_IF_ERROR(JsonOk(element.get(item)));
    od::object object;
    if (item.get_object().get(object) != simdjson::SUCCESS) {
      return InvalidArgument("an element of \"outputs\" is not an object");
    }
    if (request->outputs.size() == tensor::kMaxTensors) {
      return InvalidArgument("the request asks for more than " +
                             std::to_string(tensor::kMaxTensors) + " outputs");
    }
    InferOutput& output = request->outputs.emplace_back();
    Once seen;
    for (auto member : object) {
      od::field field;
      MLOS_RETURN_IF_ERROR(JsonOk(std::move(member).get(field)));
      const od::raw_json_string key = field.key();
      if (key == "name") {
        MLOS_RETURN_IF_ERROR(seen.Mark(0, "name"));
        MLOS_RETURN_IF_ERROR(ReadString(field.value(), "name", request, &output.name));
      } else if (key == "parameters") {
        MLOS_RETURN_IF_ERROR(seen.Mark(1, "parameters"));
        MLOS_RETURN_IF_ERROR(Annotate(ParseOutputParameters(field.value(), &output.form),
                                      "output " + Quote(output.name)));
      }
    }
    if (!seen.Has(0)) return InvalidArgument("an element of \"outputs\" has no \"name\"");
  }
  return OkStatus();
}

// The blobs follow the JSON in the order of the inputs.
Status InferDecoder::Impl::PlaceBlobs(InferRequest* request) {
  uint64_t at = request->json_bytes;
  for (InferInput& input : request->inputs) {
    if (input.form != Form::kBinary) continue;
    if (input.blob_bytes > request->body.size - at) {
      return InvalidArgument("input " + Quote(input.name) + " has binary_data_size " +
                             std::to_string(input.blob_bytes) + " but only " +
                             std::to_string(request->body.size - at) +
                             " bytes of binary data are left in the body");
    }
    input.blob_offset = at;
    at += input.blob_bytes;
  }
  if (at != request->body.size) {
    return InvalidArgument("the body has " + std::to_string(request->body.size - at) +
                           " bytes of binary data that belong to no input");
  }
  return OkStatus();
}

// -------------------------------------------------------------------- Plan

Status InferDecoder::Plan(std::string_view model, const ModelInfo& info, InferRequest* request,
                          tensor::RequestPlan* plan) {
  Impl& d = *impl_;
  if (request->raw()) MLOS_RETURN_IF_ERROR(d.PlanRaw(model, info, request));
  d.builder.Begin(model, info, plan);
  bool measure = false;
  for (InferInput& input : request->inputs) {
    MLOS_RETURN_IF_ERROR(d.builder.AddInput(input.name, &input.desc));
    MLOS_RETURN_IF_ERROR(d.CheckSize(model, *request, &input));
    measure |=
        input.form == Form::kJson && input.desc.datatype == static_cast<uint32_t>(Datatype::kBytes);
  }
  for (InferOutput& output : request->outputs) {
    MLOS_RETURN_IF_ERROR(d.builder.AddOutput(output.name, &output.index));
  }
  if (measure) MLOS_RETURN_IF_ERROR(d.MeasureBytesInputs(model, request));
  d.descs.clear();
  for (const InferInput& input : request->inputs) d.descs.push_back(input.desc);
  MLOS_RETURN_IF_ERROR(d.builder.Finish(d.descs));
  plan->parameters = request->parameters;
  return OkStatus();
}

// The body is the only input of the model, as it is.
Status InferDecoder::Impl::PlanRaw(std::string_view model, const ModelInfo& info,
                                   InferRequest* request) {
  const std::string prefix = "model " + Quote(model) + ": ";
  if (info.inputs.size() != 1) {
    return InvalidArgument(prefix + "a raw binary request needs a model with one input, this has " +
                           std::to_string(info.inputs.size()));
  }
  const TensorInfo& declared = info.inputs[0];
  InferInput& input = request->inputs.emplace_back();
  input.name = declared.name;
  input.form = Form::kBinary;
  input.blob_bytes = request->body.size;
  input.desc.datatype = static_cast<uint32_t>(declared.datatype);
  input.desc.rank =
      static_cast<uint32_t>(std::min<size_t>(declared.shape.size(), tensor::kMaxRank));
  int variable = -1;
  uint64_t known = 1;
  for (uint32_t i = 0; i < input.desc.rank; ++i) {
    int64_t dim = declared.shape[i];
    if (i == 0 && info.max_batch_size > 0) dim = 1;
    if (dim == -1) {
      if (variable >= 0) {
        return InvalidArgument(prefix +
                               "a raw binary request needs at most one variable dimension");
      }
      variable = static_cast<int>(i);
      continue;
    }
    input.desc.dims[i] = dim;
    if (__builtin_mul_overflow(known, static_cast<uint64_t>(dim), &known)) {
      return InvalidArgument(prefix + "the model's shape overflows");
    }
  }
  if (declared.datatype == Datatype::kBytes) {
    // One element: the whole body.
    if (variable >= 0) input.desc.dims[variable] = 1;
    if (known != 1) {
      return InvalidArgument(prefix + "a raw binary request needs a BYTES input of one element");
    }
    return OkStatus();
  }
  if (variable >= 0) {
    uint64_t row = 0;
    if (__builtin_mul_overflow(known, tensor::ElementSize(declared.datatype), &row) || row == 0 ||
        request->body.size % row != 0) {
      return InvalidArgument(
          InputPrefix(model, input.name) + ": " + std::to_string(request->body.size) +
          " bytes are no whole number of rows for shape " + tensor::ShapeText(declared.shape));
    }
    input.desc.dims[variable] = static_cast<int64_t>(request->body.size / row);
  }
  return OkStatus();
}

// What the shape takes against what was given.
Status InferDecoder::Impl::CheckSize(std::string_view model, const InferRequest& request,
                                     InferInput* input) {
  const auto datatype = static_cast<Datatype>(input->desc.datatype);
  if (input->form == Form::kJson) {
    // Every element takes a character at least.  Said before there is memory
    // for the tensor: a short request must not get gigabytes.
    uint64_t count = 0;
    tensor::ElementCount(input->desc.shape(), &count);
    if (count > request.json_bytes) {
      return InvalidArgument(InputPrefix(model, input->name) + " has shape " +
                             tensor::ShapeText(input->desc.shape()) +
                             ", which takes more elements than the request can hold");
    }
    if (datatype == Datatype::kFp16 || datatype == Datatype::kBf16) {
      return InvalidArgument(InputPrefix(model, input->name) + ": " +
                             std::string(tensor::DatatypeName(datatype)) +
                             " has no JSON form: send it as binary data");
    }
    return OkStatus();
  }
  if (datatype == Datatype::kBytes) {
    input->desc.bytes = input->blob_bytes + (request.raw() ? sizeof(uint32_t) : 0);
    return OkStatus();
  }
  if (input->desc.bytes != input->blob_bytes) {
    return InvalidArgument(
        InputPrefix(model, input->name) + " has " + std::to_string(input->blob_bytes) +
        " bytes of binary data but " + std::string(tensor::DatatypeName(datatype)) + " " +
        tensor::ShapeText(input->desc.shape()) + " takes " + std::to_string(input->desc.bytes));
  }
  return OkStatus();
}

Status InferDecoder::Impl::MeasureBytesInputs(std::string_view model, InferRequest* request) {
  return ForEachJsonInput(request, [&](InferInput& input, od::value data) {
    if (input.desc.datatype != static_cast<uint32_t>(Datatype::kBytes)) return OkStatus();
    uint64_t count = 0;
    tensor::ElementCount(input.desc.shape(), &count);
    return Annotate(MeasureStrings(data, count, &input.desc.bytes), InputPrefix(model, input.name));
  });
}

// -------------------------------------------------------------------- Fill

template <typename F>
Status InferDecoder::Impl::ForEachJsonInput(InferRequest* request, F f) {
  MLOS_RETURN_IF_ERROR(Rewind(request));
  // Parse has been through all of this: what does not agree now cannot be.
  od::array inputs;
  if (document.find_field_unordered("inputs").get_array().get(inputs) != simdjson::SUCCESS) {
    return Internal("the request cannot be read again");
  }
  size_t i = 0;
  for (auto element : inputs) {
    od::object object;
    if (i == request->inputs.size() || element.get_object().get(object) != simdjson::SUCCESS) {
      return Internal("the request cannot be read again");
    }
    InferInput& input = request->inputs[i++];
    if (input.form != Form::kJson) continue;
    for (auto member : object) {
      od::field field;
      MLOS_RETURN_IF_ERROR(JsonOk(std::move(member).get(field)));
      if (field.key() == "data") MLOS_RETURN_IF_ERROR(f(input, field.value()));
    }
  }
  return OkStatus();
}

namespace {

// Copies what lies in the body, with what the datatype demands of it.
Status CopyBlob(const InferRequest& request, const InferInput& input, std::span<std::byte> to) {
  const std::span<const std::byte> from(
      reinterpret_cast<const std::byte*>(request.body.data) + input.blob_offset, input.blob_bytes);
  const auto datatype = static_cast<Datatype>(input.desc.datatype);
  if (datatype == Datatype::kBytes) {
    if (request.raw()) {
      // One element, which comes without its length.
      const auto length = static_cast<uint32_t>(from.size());
      std::memcpy(to.data(), &length, sizeof(length));
      to = to.subspan(sizeof(length));
    } else {
      uint64_t count = 0;
      tensor::ElementCount(input.desc.shape(), &count);
      MLOS_RETURN_IF_ERROR(tensor::CheckBytesTensor(from, count));
    }
  } else if (datatype == Datatype::kBool) {
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] > std::byte{1}) {
        return InvalidArgument("element " + std::to_string(i) + " of a BOOL is neither 0 nor 1");
      }
    }
  }
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
  return OkStatus();
}

}  // namespace

Status InferDecoder::Fill(std::string_view model, InferRequest* request,
                          const tensor::RequestPlan& plan, std::span<std::byte> block) {
  const auto place = [&](const InferInput& input) -> std::span<std::byte> {
    const auto at = std::lower_bound(
        plan.inputs.begin(), plan.inputs.end(), input.desc.index,
        [](const tensor::TensorDesc& desc, uint32_t index) { return desc.index < index; });
    return block.subspan(at->offset, at->bytes);
  };
  bool json = false;
  for (const InferInput& input : request->inputs) {
    if (input.form == Form::kJson) {
      json = true;
      continue;
    }
    MLOS_RETURN_IF_ERROR(
        Annotate(CopyBlob(*request, input, place(input)), InputPrefix(model, input.name)));
  }
  if (!json) return OkStatus();
  return impl_->ForEachJsonInput(request, [&](InferInput& input, od::value data) {
    uint64_t count = 0;
    tensor::ElementCount(input.desc.shape(), &count);
    return Annotate(
        ParseElements(data, static_cast<Datatype>(input.desc.datatype), count, place(input)),
        InputPrefix(model, input.name));
  });
}

}  // namespace mlos::http
