// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_request.h"

#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "base/clock.h"
#include "frontends/http/infer_parameters.h"
#include "frontends/http/json_read.h"
#include "frontends/http/options.h"

namespace mlos::http {
namespace {

namespace od = simdjson::ondemand;
using frontend::Quote;
using tensor::Datatype;

static_assert(std::endian::native == std::endian::little, "the wire form is little-endian");
static_assert(kBodyPadding >= simdjson::SIMDJSON_PADDING);

// Parser memory that is kept between requests, and what is kept of it when
// none come; the memory is several times what it has room for.
constexpr size_t kKeptCapacity = 8 << 20;
constexpr size_t kRestingCapacity = 64 << 10;

// The blobs follow the JSON in the order of the inputs.
Status PlaceBlobs(InferRequest* request) {
  uint64_t at = request->json_bytes;
  for (InferInput& input : request->inputs) {
    if (input.form != Form::kBinary) continue;
    if (input.given_bytes > request->body.size - at) {
      return InvalidArgument("input " + Quote(input.name) + " has binary_data_size " +
                             std::to_string(input.given_bytes) + " but only " +
                             std::to_string(request->body.size - at) +
                             " bytes of binary data are left in the body");
    }
    input.blob_offset = at;
    at += input.given_bytes;
  }
  if (at != request->body.size) {
    return InvalidArgument("the body has " + std::to_string(request->body.size - at) +
                           " bytes of binary data that belong to no input");
  }
  return OkStatus();
}

// The name is put together only when there is something to say.
Status About(const InferInput& input, const Status& status) {
  return status.ok() ? status : Annotate(status, "input " + Quote(input.name));
}

Status ParseInput(od::object object, InferRequest* request) {
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
      MLOS_RETURN_IF_ERROR(About(input, ReadShape(field.value(), &input.desc)));
    } else if (key == "data") {
      MLOS_RETURN_IF_ERROR(seen.Mark(3, "data"));
      has_data = true;
      MLOS_RETURN_IF_ERROR(About(input, MarkArray(field.value(), &input.data)));
    } else if (key == "parameters") {
      MLOS_RETURN_IF_ERROR(seen.Mark(4, "parameters"));
      MLOS_RETURN_IF_ERROR(
          About(input, ParseInputParameters(field.value(), request, &input, &binary_size)));
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
  const bool in_region = input.place.given();
  const int forms = (has_data ? 1 : 0) + (binary_size ? 1 : 0) + (in_region ? 1 : 0);
  if (forms != 1) {
    return InvalidArgument("input " + Quote(input.name) +
                           " needs either \"data\" or the parameter \"binary_data_size\" or "
                           "\"shared_memory_region\"" +
                           (forms > 1 ? ", not more than one of them" : ""));
  }
  input.form = has_data ? Form::kElements : in_region ? Form::kRegion : Form::kBinary;
  input.given_bytes = in_region ? *input.place.bytes : binary_size.value_or(0);
  return OkStatus();
}

Status ParseInputs(od::value value, size_t most, InferRequest* request) {
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
    if (request->inputs.size() == most) {
      return InvalidArgument("the request has more than " + std::to_string(most) + " inputs");
    }
    MLOS_RETURN_IF_ERROR(ParseInput(object, request));
  }
  return OkStatus();
}

Status ParseOutput(od::object object, InferRequest* request) {
  frontend::AskedOutput& output = request->outputs.emplace_back();
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
      const Status status = ParseOutputParameters(field.value(), request, &output);
      if (!status.ok()) return Annotate(status, "output " + Quote(output.name));
    }
  }
  if (!seen.Has(0)) return InvalidArgument("an element of \"outputs\" has no \"name\"");
  return OkStatus();
}

Status ParseOutputs(od::value value, size_t most, InferRequest* request) {
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
    if (request->outputs.size() == most) {
      return InvalidArgument("the request asks for more than " + std::to_string(most) + " outputs");
    }
    MLOS_RETURN_IF_ERROR(ParseOutput(object, request));
  }
  return OkStatus();
}

}  // namespace

void InferRequest::Clear() {
  body = {};
  json_bytes = 0;
  id = {};
  binary_default = false;
  inputs.clear();
  outputs.clear();
  ClearParameters();
  kept_.clear();
}

void InferRequest::ReleaseRegions() {
  for (InferInput& input : inputs) input.place.pin.reset();
  for (frontend::AskedOutput& output : outputs) output.place.pin.reset();
}

std::string_view InferRequest::Keep(std::string_view text) {
  kept_.emplace_back(text);
  return kept_.back();
}

struct InferDecoder::Parser {
  od::parser parser;
  od::document document;

  Status Iterate(const InferRequest& request);
  Status ParseDocument(const InferLimits& limits, InferRequest* request);
};

InferDecoder::InferDecoder(InferLimits limits)
    : limits_(limits), parser_(std::make_unique<Parser>()) {}
InferDecoder::~InferDecoder() = default;

void InferDecoder::Trim() {
  if (parser_->parser.capacity() <= kKeptCapacity) return;
  parser_->parser = od::parser();
}

void InferDecoder::Rest(uint64_t now_ns) {
  if (parser_->parser.capacity() <= kRestingCapacity) return;
  if (now_ns > large_ns_ + kNanosPerSecond) parser_->parser = od::parser();
}

// ------------------------------------------------------------------- Parse

Status InferDecoder::Parse(const Body& body, int64_t json_length, InferRequest* request) {
  request->Clear();
  request->body = body;
  request->max_json_depth = limits_.max_json_depth;
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
  if (request->json_bytes > kRestingCapacity) large_ns_ = NowNanos();
  MLOS_RETURN_IF_ERROR(parser_->Iterate(*request));
  MLOS_RETURN_IF_ERROR(parser_->ParseDocument(limits_, request));
  return PlaceBlobs(request);
}

Status InferDecoder::Parser::Iterate(const InferRequest& request) {
  // In powers of two, or every request that is a little larger than the last
  // would allocate.
  if (parser.capacity() < request.json_bytes) {
    const size_t capacity = std::max<size_t>(std::bit_ceil(request.json_bytes), 16 << 10);
    if (parser.allocate(capacity) != simdjson::SUCCESS) {
      return ResourceExhausted("no memory to read a request of " +
                               std::to_string(request.json_bytes) + " bytes");
    }
  }
  return JsonOk(
      parser.iterate(request.body.data, request.json_bytes, request.body.size + kBodyPadding)
          .get(document));
}

Status InferDecoder::Parser::ParseDocument(const InferLimits& limits, InferRequest* request) {
  od::object root;
  if (document.get_object().get(root) != simdjson::SUCCESS) {
    return InvalidArgument(
        "the request is not one complete JSON object; where binary data follow it, the header "
        "Inference-Header-Content-Length says how long it is");
  }
  Once seen;
  for (auto member : root) {
    od::field field;
    MLOS_RETURN_IF_ERROR(JsonOk(std::move(member).get(field)));
    const od::raw_json_string key = field.key();
    if (key == "inputs") {
      MLOS_RETURN_IF_ERROR(seen.Mark(0, "inputs"));
      MLOS_RETURN_IF_ERROR(ParseInputs(field.value(), limits.max_tensors, request));
    } else if (key == "outputs") {
      MLOS_RETURN_IF_ERROR(seen.Mark(1, "outputs"));
      MLOS_RETURN_IF_ERROR(ParseOutputs(field.value(), limits.max_tensors, request));
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

}  // namespace mlos::http
