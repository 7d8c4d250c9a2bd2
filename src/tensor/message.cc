// SPDX-License-Identifier: Apache-2.0
#include "tensor/message.h"

#include <algorithm>
#include <cstring>

namespace mlos::tensor {
namespace {

// Sums stay far from overflow: every term is checked against this first.
constexpr uint64_t kMaxBlockBytes = uint64_t{1} << 48;

constexpr uint64_t AlignUp(uint64_t value) {
  return (value + kDataAlignment - 1) & ~(kDataAlignment - 1);
}

uint64_t RequestPrefixBytes(size_t inputs, size_t outputs, size_t parameter_bytes) {
  return sizeof(RequestHeader) + inputs * sizeof(TensorDesc) + outputs * sizeof(uint32_t) +
         (parameter_bytes > 0 ? parameter_bytes + 1 : 0);
}

std::byte* Put(std::byte* at, const void* data, size_t bytes) {
  if (bytes > 0) std::memcpy(at, data, bytes);
  return at + bytes;
}

// Checks a private copy of a descriptor.
Status CheckDesc(const TensorDesc& desc, std::string_view what, size_t position) {
  const auto fail = [&](std::string_view why) {
    std::string text(what);
    text += ' ';
    text += std::to_string(position);
    text += ": ";
    text += why;
    return InvalidArgument(text);
  };
  const auto datatype = static_cast<Datatype>(desc.datatype);
  if (!IsKnown(datatype)) return fail("unknown datatype " + std::to_string(desc.datatype));
  if (desc.rank > kMaxRank) return fail("rank " + std::to_string(desc.rank) + " is above 16");
  uint64_t count = 0;
  if (!ElementCount(desc.shape(), &count)) {
    return fail("shape " + ShapeText(desc.shape()) + " has a negative dimension or overflows");
  }
  if (datatype == Datatype::kBytes) {
    // Every element has at least its length; without this a small tensor
    // could claim an endless number of elements.
    if (count > desc.bytes / sizeof(uint32_t)) {
      return fail(std::to_string(desc.bytes) + " bytes cannot hold " + std::to_string(count) +
                  " BYTES elements");
    }
    return OkStatus();
  }
  uint64_t bytes = 0;
  if (!ByteSize(datatype, desc.shape(), &bytes) || bytes != desc.bytes) {
    return fail("shape " + ShapeText(desc.shape()) + " of " + std::string(DatatypeName(datatype)) +
                " does not take " + std::to_string(desc.bytes) + " bytes");
  }
  return OkStatus();
}

// Copies `count` descriptors that start at block[at] and checks them; the
// caller has checked that they lie inside.
Status CopyDescs(std::span<const std::byte> block, size_t at, uint32_t count, std::string_view what,
                 bool ascending, std::vector<TensorDesc>* out) {
  out->resize(count);
  if (count > 0) std::memcpy(out->data(), block.data() + at, count * sizeof(TensorDesc));
  for (size_t i = 0; i < count; ++i) {
    MLOS_RETURN_IF_ERROR(CheckDesc((*out)[i], what, i));
    if (ascending && i > 0 && (*out)[i].index <= (*out)[i - 1].index) {
      return InvalidArgument(std::string(what) + " " + std::to_string(i) +
                             ": indices are not ascending");
    }
  }
  return OkStatus();
}

}  // namespace

bool LayOutRequest(RequestPlan* plan, uint64_t* block_bytes) {
  if (plan->inputs.size() > kMaxTensors || plan->outputs.size() > kMaxTensors ||
      plan->parameters.size() > kMaxParameterBytes) {
    return false;
  }
  uint64_t at =
      RequestPrefixBytes(plan->inputs.size(), plan->outputs.size(), plan->parameters.size());
  for (TensorDesc& input : plan->inputs) {
    at = AlignUp(at);
    input.offset = at;
    if (input.bytes > kMaxBlockBytes - at) return false;
    at += input.bytes;
  }
  *block_bytes = at;
  return at <= kMaxBlockBytes;
}

void WriteRequest(const RequestPlan& plan, uint32_t segment, uint64_t block_offset,
                  std::span<std::byte> block) {
  RequestHeader header;
  header.input_count = static_cast<uint32_t>(plan.inputs.size());
  header.output_count = static_cast<uint32_t>(plan.outputs.size());
  header.parameter_bytes = static_cast<uint32_t>(plan.parameters.size());
  std::byte* at = Put(block.data(), &header, sizeof(header));
  for (const TensorDesc& input : plan.inputs) {
    TensorDesc desc = input;
    desc.segment = segment;
    desc.offset = block_offset + input.offset;
    at = Put(at, &desc, sizeof(desc));
  }
  at = Put(at, plan.outputs.data(), plan.outputs.size() * sizeof(uint32_t));
  if (!plan.parameters.empty()) {
    at = Put(at, plan.parameters.data(), plan.parameters.size());
    *at = std::byte{0};
  }
}

Status ReadRequest(std::span<const std::byte> block, RequestView* view) {
  view->has_parameters = false;
  if (block.size() < sizeof(RequestHeader)) return InvalidArgument("request block is too short");
  RequestHeader header;
  std::memcpy(&header, block.data(), sizeof(header));
  if (header.magic != kRequestMagic || header.version != kMessageVersion) {
    return InvalidArgument("not a request of a version that is understood here");
  }
  if (header.input_count > kMaxTensors || header.output_count > kMaxTensors ||
      header.parameter_bytes > kMaxParameterBytes) {
    return InvalidArgument("request has more tensors or parameters than allowed");
  }
  if (RequestPrefixBytes(header.input_count, header.output_count, header.parameter_bytes) >
      block.size()) {
    return InvalidArgument("request block ends before its descriptors do");
  }
  size_t at = sizeof(header);
  MLOS_RETURN_IF_ERROR(CopyDescs(block, at, header.input_count, "input", true, &view->inputs));
  at += header.input_count * sizeof(TensorDesc);

  view->outputs.resize(header.output_count);
  const size_t output_bytes = header.output_count * sizeof(uint32_t);
  if (output_bytes > 0) std::memcpy(view->outputs.data(), block.data() + at, output_bytes);
  at += output_bytes;
  for (size_t i = 1; i < view->outputs.size(); ++i) {
    if (view->outputs[i] <= view->outputs[i - 1]) {
      return InvalidArgument("requested outputs are not ascending");
    }
  }

  if (header.parameter_bytes > 0) {
    // The NUL is ours, whatever the peer wrote there.
    view->parameter_text.resize(header.parameter_bytes + 1);
    std::memcpy(view->parameter_text.data(), block.data() + at, header.parameter_bytes);
    view->parameter_text.back() = '\0';
    if (std::memchr(view->parameter_text.data(), 0, header.parameter_bytes) != nullptr) {
      return InvalidArgument("parameters contain a NUL character");
    }
    view->has_parameters = true;
  }
  return OkStatus();
}

uint64_t ResponseBlockBytes(uint32_t outputs, uint32_t text_bytes) {
  return sizeof(ResponseHeader) + uint64_t{outputs} * sizeof(TensorDesc) + text_bytes;
}

void WriteResponse(StatusCode code, std::span<const TensorDesc> outputs, std::string_view text,
                   std::span<std::byte> block) {
  text = text.substr(0, kMaxTextBytes);
  ResponseHeader header;
  header.code = static_cast<int32_t>(code);
  header.output_count = static_cast<uint32_t>(outputs.size());
  header.text_bytes = static_cast<uint32_t>(text.size());
  std::byte* at = Put(block.data(), &header, sizeof(header));
  at = Put(at, outputs.data(), outputs.size_bytes());
  Put(at, text.data(), text.size());
}

Status ReadResponse(std::span<const std::byte> block, ResponseView* view) {
  if (block.size() < sizeof(ResponseHeader)) return InvalidArgument("response block is too short");
  ResponseHeader header;
  std::memcpy(&header, block.data(), sizeof(header));
  if (header.magic != kResponseMagic || header.version != kMessageVersion) {
    return InvalidArgument("not a response of a version that is understood here");
  }
  if (header.output_count > kMaxTensors || header.text_bytes > kMaxTextBytes) {
    return InvalidArgument("response has more tensors or text than allowed");
  }
  if (ResponseBlockBytes(header.output_count, header.text_bytes) > block.size()) {
    return InvalidArgument("response block ends before its descriptors do");
  }
  // A code that this core does not know is the host's fault, not the client's.
  const bool known = header.code >= 0 && header.code <= 16;
  view->code = known ? static_cast<StatusCode>(header.code) : StatusCode::kInternal;
  MLOS_RETURN_IF_ERROR(CopyDescs(block, sizeof(header), header.output_count, "output",
                                 /*ascending=*/false, &view->outputs));
  const size_t text_at = sizeof(header) + header.output_count * sizeof(TensorDesc);
  view->text.assign(reinterpret_cast<const char*>(block.data()) + text_at, header.text_bytes);
  return OkStatus();
}

}  // namespace mlos::tensor
