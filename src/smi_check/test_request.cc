// SPDX-License-Identifier: Apache-2.0
#include "smi_check/test_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/clock.h"
#include "base/name.h"
#include "smi_check/child.h"

namespace mlos {
namespace {

constexpr uint64_t kMostOutputBytes = 1ull << 30;
constexpr int kRubbish = 0xa5;

bool IsKnownCode(smi_code code) {
  switch (code) {
    case SMI_OK:
    case SMI_CANCELLED:
    case SMI_INVALID_ARGUMENT:
    case SMI_DEADLINE_EXCEEDED:
    case SMI_NOT_FOUND:
    case SMI_RESOURCE_EXHAUSTED:
    case SMI_FAILED_PRECONDITION:
    case SMI_UNIMPLEMENTED:
    case SMI_INTERNAL:
    case SMI_UNAVAILABLE:
      return true;
    default:
      return false;
  }
}

// The encoded elements of a BYTES tensor, walked.
bool IsEncodedBytes(std::string_view bytes, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (bytes.size() < sizeof length) return false;
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes.remove_prefix(sizeof length);
    if (bytes.size() < length) return false;
    bytes.remove_prefix(length);
  }
  return bytes.empty();
}

TestRequest* Of(const smi_request* request) {
  return static_cast<TestRequest*>(request->host_data);
}

std::string_view BytesOf(const std::vector<int64_t>& shape) {
  return {reinterpret_cast<const char*>(shape.data()), shape.size() * sizeof(int64_t)};
}

}  // namespace

TestRequest::TestRequest(FakeHost& host, const ModelView& model,
                         const std::vector<TensorValue>& inputs, RequestOptions options)
    : host_(host),
      model_(model),
      options_(std::move(options)),
      asked_(options_.outputs),
      request_(host.NewStructs(sizeof(smi_request), 1)),
      tensors_(host.NewStructs(sizeof(smi_tensor), inputs.size())),
      indices_(Guarded::CopyOf({reinterpret_cast<const char*>(options_.outputs.data()),
                                options_.outputs.size() * sizeof(uint32_t)},
                               alignof(uint32_t))) {
  if (asked_.empty()) {
    for (uint32_t i = 0; i < model.outputs.size(); ++i) asked_.push_back(i);
  }
  const size_t stride = sizeof(smi_tensor) + host.shape().extra;
  for (size_t i = 0; i < inputs.size(); ++i) {
    shapes_.push_back(Guarded::CopyOf(BytesOf(inputs[i].shape), alignof(int64_t)));
    data_.push_back(Guarded::CopyOf(inputs[i].bytes, 64));
    shapes_.back().MakeReadOnly();
    data_.back().MakeReadOnly();
    auto* tensor = reinterpret_cast<smi_tensor*>(tensors_.as<std::byte>() + i * stride);
    tensor->index = inputs[i].index;
    tensor->datatype = inputs[i].datatype;
    tensor->rank = static_cast<uint32_t>(inputs[i].shape.size());
    tensor->shape = shapes_.back().as<const int64_t>();
    tensor->data = data_.back().data();
    tensor->byte_size = inputs[i].bytes.size();
  }
  tensors_.MakeReadOnly();
  indices_.MakeReadOnly();
  auto* request = request_.as<smi_request>();
  request->slot = options_.slot;
  request->input_count = static_cast<uint32_t>(inputs.size());
  request->output_count = static_cast<uint32_t>(options_.outputs.size());
  request->inputs = tensors_.as<const smi_tensor>();
  request->outputs = indices_.as<const uint32_t>();
  request->deadline_ns = NowNanos() + (options_.is_cancelled ? 0 : 3600 * kNanosPerSecond);
  request->host_data = this;
}

TestRequest::~TestRequest() = default;

std::string TestRequest::NameOf(uint32_t index) const {
  return index < model_.outputs.size() ? Quoted(model_.outputs[index].name)
                                       : fmt::format("{}", index);
}

void TestRequest::Start() {
  thread_ = std::this_thread::get_id();
  is_running_ = true;
}

Status TestRequest::Finish(smi_code code, const std::string& text) {
  is_running_ = false;
  if (!code_ && code == SMI_OK) {
    return Fail("execute returned SMI_OK, but the request was not answered; call respond or fail");
  }
  if (!IsKnownCode(code)) {
    return Fail(fmt::format("execute returned {}, which mlos/smi.h does not list", code));
  }
  if (!code_) Answer(code, text);
  return OkStatus();
}

// True when the callback may go on.
bool TestRequest::CheckCall(const char* function) {
  if (std::this_thread::get_id() != thread_) {
    host_.Breach(
        fmt::format("{} was called on another thread than the one that runs execute; it "
                    "is tagged [execute]",
                    function));
    return false;
  }
  if (code_) {
    host_.Breach(
        fmt::format("{} was called on a request that was answered already: each is "
                    "answered exactly once",
                    function));
    return false;
  }
  if (!is_running_) {
    host_.Breach(fmt::format("{} was called after execute had returned", function));
    return false;
  }
  return true;
}

Status TestRequest::CheckShape(uint32_t index, const std::vector<int64_t>& shape,
                               uint64_t byte_size) const {
  const TensorView& spec = model_.outputs[index];
  bool fits = shape.size() == spec.shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = shape[i] >= 0 && (spec.shape[i] < 0 || spec.shape[i] == shape[i]);
  }
  if (!fits) {
    return Fail(fmt::format("output {} was allocated with shape {}; it was described with {}",
                            NameOf(index), ShapeText(shape), ShapeText(spec.shape)));
  }
  uint64_t count = 0;
  if (!CountElements(shape, &count)) {
    return Fail(fmt::format("output {} was allocated with shape {}, which overflows", NameOf(index),
                            ShapeText(shape)));
  }
  const uint64_t element = ElementSize(spec.datatype);
  if (element > 0 && byte_size != count * element) {
    return Fail(fmt::format("output {} was allocated with {} bytes; shape {} of {} takes {}",
                            NameOf(index), byte_size, ShapeText(shape), DatatypeName(spec.datatype),
                            count * element));
  }
  return OkStatus();
}

Status TestRequest::Allocate(uint32_t index, smi_datatype datatype, uint32_t rank,
                             const int64_t* shape, uint64_t byte_size, void** data) {
  if (index >= model_.outputs.size()) {
    return Fail(fmt::format("allocate_output was called for output {}; the model has {}", index,
                            model_.outputs.size()));
  }
  if (std::find(asked_.begin(), asked_.end(), index) == asked_.end()) {
    return Fail(
        fmt::format("output {} was allocated, but the request did not ask for it", NameOf(index)));
  }
  if (datatype != model_.outputs[index].datatype) {
    return Fail(fmt::format("output {} was allocated as {}; it was described as {}", NameOf(index),
                            DatatypeName(datatype), DatatypeName(model_.outputs[index].datatype)));
  }
  if (rank > SMI_MAX_RANK || (rank > 0 && shape == nullptr) || data == nullptr) {
    return Fail(fmt::format(
        "output {} was allocated with rank {}, {} shape and {} place for the "
        "pointer",
        NameOf(index), rank, shape == nullptr ? "no" : "a", data == nullptr ? "no" : "a"));
  }
  std::vector<int64_t> dims(shape, shape + rank);
  MLOS_RETURN_IF_ERROR(CheckShape(index, dims, byte_size));
  if (options_.refuse_memory || byte_size > kMostOutputBytes) {
    return ResourceExhausted(
        fmt::format("no memory for output {}: {} bytes", NameOf(index), byte_size));
  }
  // A later call replaces an earlier one, whose memory is gone.
  for (Output& earlier : memory_) {
    if (earlier.index != index || earlier.is_replaced) continue;
    if (!earlier.bytes.SlackIsIntact()) {
      return Fail(fmt::format("the plugin wrote past the end of output {}", NameOf(index)));
    }
    earlier.bytes.MakeInaccessible();
    earlier.is_replaced = true;
  }
  memory_.push_back(Output{index, datatype, std::move(dims), Guarded(byte_size, 64), false});
  std::memset(memory_.back().bytes.data(), kRubbish, byte_size);
  *data = memory_.back().bytes.data();
  return OkStatus();
}

smi_code TestRequest::AllocateOutput(const smi_request* request, uint32_t index,
                                     smi_datatype datatype, uint32_t rank, const int64_t* shape,
                                     uint64_t byte_size, void** data, smi_error* error) {
  TestRequest* self = Of(request);
  if (!self->CheckCall("allocate_output")) return SMI_FAILED_PRECONDITION;
  const Status status = self->Allocate(index, datatype, rank, shape, byte_size, data);
  if (status.ok()) return SMI_OK;
  WriteError(error, Message(status));
  if (status.code() == StatusCode::kResourceExhausted) return SMI_RESOURCE_EXHAUSTED;
  self->host_.Breach(Message(status));
  return SMI_INVALID_ARGUMENT;
}

// Checks that the answer is whole and copies it.
Status TestRequest::Complete() {
  for (const uint32_t index : asked_) {
    const auto output = std::find_if(memory_.begin(), memory_.end(), [index](const Output& o) {
      return o.index == index && !o.is_replaced;
    });
    if (output == memory_.end()) {
      return Fail(fmt::format("the request was answered without output {}, which it asked for",
                              NameOf(index)));
    }
    if (!output->bytes.SlackIsIntact()) {
      return Fail(fmt::format("the plugin wrote past the end of output {}", NameOf(index)));
    }
    uint64_t count = 0;
    CountElements(output->shape, &count);
    if (output->datatype == SMI_BYTES && !IsEncodedBytes(output->bytes.bytes(), count)) {
      return Fail(
          fmt::format("output {} is not {} BYTES elements, each a length of four bytes and "
                      "its bytes",
                      NameOf(index), count));
    }
    answers_.push_back(
        TensorValue{index, output->datatype, output->shape, std::string(output->bytes.bytes())});
  }
  return OkStatus();
}

void TestRequest::Answer(smi_code code, std::string text) {
  code_ = code;
  text_ = std::move(text);
  for (Guarded& memory : shapes_) memory.MakeInaccessible();
  for (Guarded& memory : data_) memory.MakeInaccessible();
  for (Output& output : memory_) output.bytes.MakeInaccessible();
  tensors_.MakeInaccessible();
  indices_.MakeInaccessible();
  // All but host_data, by which a second answer is recognised.
  std::memset(request_.data(), kRubbish, offsetof(smi_request, host_data));
}

smi_code TestRequest::Respond(const smi_request* request, smi_error* error) {
  TestRequest* self = Of(request);
  if (!self->CheckCall("respond")) return SMI_FAILED_PRECONDITION;
  const Status status = self->Complete();
  if (!status.ok()) {
    self->host_.Breach(Message(status));
    WriteError(error, Message(status));
    self->Answer(SMI_INTERNAL, std::string(Message(status)));
    return SMI_INTERNAL;
  }
  self->Answer(SMI_OK, "");
  return SMI_OK;
}

void TestRequest::FailRequest(const smi_request* request, smi_code code, const char* text) {
  TestRequest* self = Of(request);
  if (!self->CheckCall("fail")) return;
  if (code == SMI_OK || !IsKnownCode(code)) {
    self->host_.Breach(
        fmt::format("fail was called with code {}; use an error of mlos/smi.h", code));
  }
  self->Answer(code == SMI_OK ? SMI_INTERNAL : code, text == nullptr ? "" : text);
}

bool TestRequest::IsCancelled(const smi_request* request) {
  TestRequest* self = Of(request);
  return self->CheckCall("is_cancelled") && self->options_.is_cancelled;
}

}  // namespace mlos
