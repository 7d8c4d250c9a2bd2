// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_encode.h"

#include "base/protobuf_writer.h"

namespace mlos::grpc {
namespace {

// Numbers of fields (proto/inference.proto).
namespace response {
constexpr uint32_t kModelName = 1;
constexpr uint32_t kModelVersion = 2;
constexpr uint32_t kId = 3;
constexpr uint32_t kParameters = 4;
constexpr uint32_t kOutputs = 5;
constexpr uint32_t kRawOutputContents = 6;
}  // namespace response
namespace output {
constexpr uint32_t kName = 1;
constexpr uint32_t kDatatype = 2;
constexpr uint32_t kShape = 3;
}  // namespace output
namespace stream {
constexpr uint32_t kErrorMessage = 1;
constexpr uint32_t kInferResponse = 2;
}  // namespace stream

constexpr size_t kKeptBytes = 16 << 10;
// An answer up to this is copied: the model's memory is free at once, however
// slowly the client reads.
constexpr uint64_t kCopiedBytes = 16 << 10;

// The map's entry triton_final_response = true: every request has one answer.
void AppendFinal(Buffer* out) {
  constexpr std::string_view kName = "triton_final_response";
  constexpr std::string_view kTrue = "\x08\x01";  // InferParameter.bool_param
  AppendFieldHead(response::kParameters, 2 + kName.size() + 2 + kTrue.size(), out);
  AppendString(1, kName, out);
  AppendString(2, kTrue, out);
}

// Packed, as proto3 does.
void AppendShape(std::span<const int64_t> shape, Buffer* out) {
  size_t bytes = 0;
  for (const int64_t dim : shape) bytes += VarintSize(static_cast<uint64_t>(dim));
  if (bytes == 0) return;
  AppendFieldHead(output::kShape, bytes, out);
  for (const int64_t dim : shape) AppendVarint(static_cast<uint64_t>(dim), out);
}

// Its bytes went into the client's shared memory.
bool InRegion(const frontend::AnswerTensor& answered) {
  return answered.asked != nullptr && answered.asked->form == frontend::Form::kRegion;
}

}  // namespace

void InferEncoder::AppendResponse(const InferJob& job, bool in_stream) {
  text_.Clear();
  pieces_.clear();
  AppendString(response::kModelName, job.model_name(), &text_);
  AppendString(response::kModelVersion, job.model().version, &text_);
  AppendString(response::kId, job.id(), &text_);
  if (in_stream) AppendFinal(&text_);
  for (const frontend::AnswerTensor& answered : job.answer()) {
    const engine::OutputTensor* tensor = answered.tensor;
    scratch_.Clear();
    AppendString(output::kName, job.model().info->outputs[tensor->desc.index].name, &scratch_);
    AppendString(output::kDatatype,
                 tensor::DatatypeName(static_cast<tensor::Datatype>(tensor->desc.datatype)),
                 &scratch_);
    AppendShape(tensor->desc.shape(), &scratch_);
    AppendFieldHead(response::kOutputs, scratch_.size(), &text_);
    text_.Append(scratch_.view());
  }
  // One for each output, empty ones too: clients count on that.
  for (const frontend::AnswerTensor& answered : job.answer()) {
    const std::span<const std::byte> data =
        InRegion(answered) ? std::span<const std::byte>() : answered.tensor->data;
    AppendFieldHead(response::kRawOutputContents, data.size(), &text_);
    pieces_.push_back({text_.size(), data});
  }
}

uint64_t InferEncoder::Bytes() const {
  uint64_t bytes = text_.size();
  for (const Piece& piece : pieces_) bytes += piece.data.size();
  return bytes;
}

std::span<const iovec> InferEncoder::Gather(std::string_view before) {
  gathered_.clear();
  const auto add = [&](const void* data, size_t size) {
    if (size > 0) gathered_.push_back({const_cast<void*>(data), size});
  };
  add(before.data(), before.size());
  size_t at = 0;
  for (const Piece& piece : pieces_) {
    add(text_.data() + at, piece.text_end - at);
    add(piece.data.data(), piece.data.size());
    at = piece.text_end;
  }
  add(text_.data() + at, text_.size() - at);
  owns_ = before.size() + Bytes() <= kCopiedBytes;
  if (!owns_) return gathered_;
  whole_.Clear();
  for (const iovec& piece : gathered_) {
    whole_.Append({static_cast<const char*>(piece.iov_base), piece.iov_len});
  }
  gathered_.assign(1, {whole_.data(), whole_.size()});
  return gathered_;
}

std::span<const iovec> InferEncoder::Response(const InferJob& job) {
  AppendResponse(job, false);
  return Gather({});
}

std::span<const iovec> InferEncoder::StreamResponse(const InferJob& job) {
  before_.Clear();
  if (job.error().ok()) {
    AppendResponse(job, true);
    AppendFieldHead(stream::kInferResponse, Bytes(), &before_);
  } else {
    text_.Clear();
    pieces_.clear();
    AppendString(response::kId, job.id(), &text_);
    AppendFinal(&text_);
    AppendString(stream::kErrorMessage, Message(job.error()), &before_);
    AppendFieldHead(stream::kInferResponse, text_.size(), &before_);
  }
  return Gather(before_.view());
}

void InferEncoder::Trim() {
  text_.Clear();
  text_.Trim(kKeptBytes);
  before_.Trim(kKeptBytes);
  scratch_.Trim(kKeptBytes);
  whole_.Trim(kKeptBytes);
  pieces_.clear();
}

}  // namespace mlos::grpc
