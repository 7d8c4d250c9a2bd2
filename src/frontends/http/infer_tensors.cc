// SPDX-License-Identifier: Apache-2.0
//
// The second half of InferDecoder: from what was asked for to the tensors.
#include <algorithm>
#include <cstring>
#include <limits>

#include "frontends/common/element_checker.h"
#include "frontends/http/infer_request.h"
#include "frontends/http/json_elements.h"

namespace mlos::http {
namespace {

using frontend::Quote;
using tensor::Datatype;

std::string ModelPrefix(std::string_view model) { return "model " + Quote(model) + ": "; }

std::string InputPrefix(std::string_view model, std::string_view input) {
  return ModelPrefix(model) + "input " + Quote(input);
}

// The name is put together only when there is something to say.
Status About(std::string_view model, const InferInput& input, const Status& status) {
  return status.ok() ? status : Annotate(status, InputPrefix(model, input.name));
}

bool IsBytes(const InferInput& input) {
  return input.desc.datatype == static_cast<uint32_t>(Datatype::kBytes);
}

uint64_t CountOf(const InferInput& input) {
  uint64_t count = 0;
  tensor::ElementCount(input.desc.shape(), &count);
  return count;
}

// One element of BYTES: the whole body, whose length becomes its prefix.
Status CheckRawElement(const std::string& prefix, const TensorInfo& declared, bool takes_one,
                       uint64_t bytes) {
  if (!takes_one) {
    return InvalidArgument(prefix +
                           ": a raw binary request for BYTES needs an input of one element, but "
                           "the model takes " +
                           tensor::ShapeText(declared.shape));
  }
  if (bytes > std::numeric_limits<uint32_t>::max()) {
    return InvalidArgument(prefix + ": an element of BYTES has at most " +
                           std::to_string(std::numeric_limits<uint32_t>::max()) + " bytes");
  }
  return OkStatus();
}

// The body is the only input of the model, as it is.
Status PlanRaw(std::string_view model, const ModelInfo& info, InferRequest* request) {
  if (info.inputs.size() != 1) {
    return InvalidArgument(ModelPrefix(model) +
                           "a raw binary request needs a model with exactly one input, this has " +
                           std::to_string(info.inputs.size()));
  }
  const TensorInfo& declared = info.inputs[0];
  InferInput& input = request->inputs.emplace_back();
  input.name = declared.name;
  input.form = Form::kBinary;
  input.given_bytes = request->body.size;
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
        return InvalidArgument(ModelPrefix(model) +
                               "a raw binary request needs at most one variable dimension");
      }
      variable = static_cast<int>(i);
      continue;
    }
    input.desc.dims[i] = dim;
    if (__builtin_mul_overflow(known, static_cast<uint64_t>(dim), &known)) {
      return InvalidArgument(ModelPrefix(model) + "the model's shape overflows");
    }
  }
  if (declared.datatype == Datatype::kBytes) {
    return CheckRawElement(InputPrefix(model, input.name), declared, variable < 0 && known == 1,
                           request->body.size);
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

// Elements that are written out: how many bytes they take, if they can.
Status PlanElements(std::string_view model, const InferRequest& request, InferInput* input) {
  const auto datatype = static_cast<Datatype>(input->desc.datatype);
  // Every element takes a character at least.  Said before there is memory
  // for the tensor: a short request must not get gigabytes.
  if (CountOf(*input) > request.json_bytes) {
    return InvalidArgument(InputPrefix(model, input->name) + " has shape " +
                           tensor::ShapeText(input->desc.shape()) +
                           ", which takes more elements than the request can hold");
  }
  if (datatype == Datatype::kFp16 || datatype == Datatype::kBf16) {
    return InvalidArgument(InputPrefix(model, input->name) + ": " +
                           std::string(tensor::DatatypeName(datatype)) +
                           " has no JSON form: send it as binary data");
  }
  if (datatype != Datatype::kBytes) return OkStatus();
  return About(
      model, *input,
      MeasureStrings(input->data, CountOf(*input), &input->desc.bytes, request.max_json_depth));
}

// Copies what lies in the body.
Status CopyBlob(const InferRequest& request, const InferInput& input, std::span<std::byte> to) {
  const std::span<const std::byte> from(
      reinterpret_cast<const std::byte*>(request.body.data) + input.blob_offset, input.given_bytes);
  if (request.raw() && IsBytes(input)) {
    // One element, which comes without its length.
    const auto length = static_cast<uint32_t>(from.size());
    std::memcpy(to.data(), &length, sizeof(length));
    to = to.subspan(sizeof(length));
  } else {
    MLOS_RETURN_IF_ERROR(frontend::CheckElements(input.desc, from));
  }
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
  return OkStatus();
}

}  // namespace

Status InferDecoder::Plan(std::string_view model, const ModelInfo& info, InferRequest* request,
                          tensor::RequestPlan* plan) {
  if (request->raw()) MLOS_RETURN_IF_ERROR(PlanRaw(model, info, request));
  MLOS_RETURN_IF_ERROR(planner_.Begin(model, info, request->in_sequence, plan));
  descs_.clear();
  for (InferInput& input : request->inputs) {
    MLOS_RETURN_IF_ERROR(planner_.AddInput(&input));
    if (input.form == Form::kElements) {
      MLOS_RETURN_IF_ERROR(PlanElements(model, *request, &input));
    } else if (request->raw() && IsBytes(input)) {
      input.desc.bytes += sizeof(uint32_t);  // its length, which does not come
    }
    descs_.push_back(input.desc);
  }
  for (frontend::AskedOutput& output : request->outputs) {
    MLOS_RETURN_IF_ERROR(planner_.AddOutput(&output));
  }
  return planner_.Finish(descs_, request->parameters);
}

Status InferDecoder::Fill(std::string_view model, const InferRequest& request,
                          const tensor::RequestPlan& plan, std::span<std::byte> block) {
  for (const InferInput& input : request.inputs) {
    const std::span<std::byte> to = frontend::PlaceOf(plan, input.desc.index, block);
    const Status status =
        input.form == Form::kElements
            ? ParseElements(input.data, static_cast<Datatype>(input.desc.datatype), CountOf(input),
                            to, request.max_json_depth)
        : input.form == Form::kRegion ? frontend::CopyRegion(input, to)
                                      : CopyBlob(request, input, to);
    MLOS_RETURN_IF_ERROR(About(model, input, status));
  }
  return OkStatus();
}

}  // namespace mlos::http
