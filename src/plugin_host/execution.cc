// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/execution.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/clock.h"

namespace mlos::plugin_host {
namespace {

using tensor::DatatypeName;
using tensor::ShapeText;

// Names of a model's tensors, for an error about one of them.
std::string NameList(const std::vector<TensorInfo>& tensors) {
  std::string out;
  for (const TensorInfo& t : tensors) {
    if (!out.empty()) out += ", ";
    out += t.name;
  }
  return out;
}

// What is computed with and not by: a value that changes under the model's hands
// is a wrong number in its answer, never a wrong index, length or condition.
bool IsFloatingPoint(tensor::Datatype datatype) {
  return datatype == tensor::Datatype::kFp16 || datatype == tensor::Datatype::kBf16 ||
         datatype == tensor::Datatype::kFp32 || datatype == tensor::Datatype::kFp64;
}

Status NoOwnMemory(const std::string& label) {
  return ResourceExhausted(
      fmt::format("{}: the request's tensors need more memory than the plugin host has for copies "
                  "of them, {} bytes at most",
                  label, PrivateMemory::kMost));
}

}  // namespace

Execution::Execution(SegmentSource& segments) : segments_(segments) {}

void Execution::Run(const Job& job, const Model& model, bool ring) {
  job_ = &job;
  model_ = &model;
  ring_ = ring;
  answered_ = false;
  started_ns_ = NowNanos();
  job.consumer->Begun(job.claim.entry, started_ns_);
  const Status status = Prepare();
  if (status.ok()) {
    CallPlugin();
  } else {
    Publish(status.code(), Message(status));
  }
  if (job.channel->terms) own_.Clear();
}

void Execution::CallPlugin() {
  error_text_[0] = '\0';
  smi_error error{sizeof(smi_error), sizeof error_text_, error_text_};
  const smi_request* requests[] = {&request_};
  const smi_code code = model_->Run(requests, 1, &error);
  if (answered_) return;
  error_text_[sizeof error_text_ - 1] = '\0';
  if (code == SMI_OK) {
    Publish(StatusCode::kInternal,
            fmt::format("{}: the plugin returned without answering", model_->label()));
  } else {
    FailFromPlugin(code, error_text_);
  }
}

void Execution::Fail(const Job& job, StatusCode code, std::string_view text) {
  job_ = &job;
  model_ = nullptr;
  ring_ = true;
  answered_ = false;
  started_ns_ = NowNanos();
  allocated_.clear();
  Publish(code, text);
}

Status Execution::Prepare() {
  const ModelInfo& info = model_->info();
  MLOS_ASSIGN_OR_RETURN(const std::span<const std::byte> block,
                        job_->consumer->RequestMemory(job_->claim.request));
  MLOS_RETURN_IF_ERROR(tensor::ReadRequest(block, &view_));
  inputs_.clear();
  for (const tensor::TensorDesc& desc : view_.inputs) {
    smi_tensor input{};
    MLOS_RETURN_IF_ERROR(CheckInput(desc, &input));
    inputs_.push_back(input);
  }
  MLOS_RETURN_IF_ERROR(CheckAllInputsGiven());
  MLOS_RETURN_IF_ERROR(CheckOutputsWanted());
  allocated_.resize(info.outputs.size());
  has_output_.assign(info.outputs.size(), false);
  if (OwnOutputs()) own_outputs_.resize(info.outputs.size());

  request_.struct_size = sizeof request_;
  request_.slot = job_->channel->first_slot + job_->claim.entry;
  request_.input_count = static_cast<uint32_t>(inputs_.size());
  request_.inputs = inputs_.data();
  request_.output_count = static_cast<uint32_t>(view_.outputs.size());
  request_.outputs = view_.outputs.data();
  request_.parameters = view_.has_parameters ? view_.parameter_text.data() : nullptr;
  request_.deadline_ns = job_->claim.deadline_ns;
  request_.host_data = static_cast<RequestPort*>(this);
  return OkStatus();
}

bool Execution::MustCopy(const tensor::TensorDesc& desc) const {
  const auto& terms = job_->channel->terms;
  if (!terms) return false;  // the core's own memory
  return !terms->in_place || !IsFloatingPoint(static_cast<tensor::Datatype>(desc.datatype)) ||
         desc.offset % tensor::kDataAlignment != 0;
}

bool Execution::OwnOutputs() const {
  const auto& terms = job_->channel->terms;
  return terms && !terms->in_place;
}

// Where the plugin and the checks find an input.
StatusOr<std::span<const std::byte>> Execution::InputMemory(const tensor::TensorDesc& desc) {
  auto data = job_->consumer->RequestMemory({desc.segment, 0, desc.offset, desc.bytes});
  if (!data.ok() || !MustCopy(desc)) return data;
  std::byte* const own = own_.Allocate(desc.bytes);
  if (own == nullptr) return NoOwnMemory(model_->label());
  if (desc.bytes > 0) std::memcpy(own, data->data(), desc.bytes);
  return std::span<const std::byte>(own, desc.bytes);
}

Status Execution::CheckInput(const tensor::TensorDesc& desc, smi_tensor* input) {
  const ModelInfo& info = model_->info();
  if (desc.index >= info.inputs.size()) {
    return InvalidArgument(fmt::format("{} has {} inputs ({}); the request names number {}",
                                       model_->label(), info.inputs.size(), NameList(info.inputs),
                                       desc.index));
  }
  const TensorInfo& declared = info.inputs[desc.index];
  const auto datatype = static_cast<tensor::Datatype>(desc.datatype);
  if (datatype != declared.datatype) {
    return InvalidArgument(fmt::format("{}: input \"{}\" is {}, the request gives {}",
                                       model_->label(), declared.name,
                                       DatatypeName(declared.datatype), DatatypeName(datatype)));
  }
  if (!tensor::Matches(declared.shape, desc.shape())) {
    return InvalidArgument(fmt::format("{}: input \"{}\" has shape {}, the request gives {}",
                                       model_->label(), declared.name, ShapeText(declared.shape),
                                       ShapeText(desc.shape())));
  }
  const auto data = InputMemory(desc);
  if (!data.ok()) return data.status();
  if (datatype == tensor::Datatype::kBytes) {
    uint64_t count = 0;
    tensor::ElementCount(desc.shape(), &count);
    const Status status = tensor::CheckBytesTensor(*data, count);
    if (!status.ok()) {
      return Annotate(status, fmt::format("{}: input \"{}\"", model_->label(), declared.name));
    }
  }
  input->struct_size = sizeof *input;
  input->index = desc.index;
  input->datatype = desc.datatype;
  input->rank = desc.rank;
  input->shape = desc.dims;
  input->data = data->data();
  input->byte_size = desc.bytes;
  return OkStatus();
}

Status Execution::CheckAllInputsGiven() const {
  const ModelInfo& info = model_->info();
  size_t given = 0;  // inputs_ is in ascending order
  for (size_t i = 0; i < info.inputs.size(); ++i) {
    if (given < inputs_.size() && inputs_[given].index == i) {
      ++given;
    } else if (!info.inputs[i].optional) {
      return InvalidArgument(fmt::format("{}: input \"{}\" is missing; the model's inputs are {}",
                                         model_->label(), info.inputs[i].name,
                                         NameList(info.inputs)));
    }
  }
  return OkStatus();
}

Status Execution::CheckOutputsWanted() const {
  const ModelInfo& info = model_->info();
  if (!view_.outputs.empty() && view_.outputs.back() >= info.outputs.size()) {
    return InvalidArgument(fmt::format("{} has {} outputs ({}); the request asks for number {}",
                                       model_->label(), info.outputs.size(), NameList(info.outputs),
                                       view_.outputs.back()));
  }
  return OkStatus();
}

bool Execution::Wanted(uint32_t output) const {
  return view_.outputs.empty() ||
         std::binary_search(view_.outputs.begin(), view_.outputs.end(), output);
}

StatusOr<channel::ResponseBlock> Execution::Allocate(uint32_t piece, uint64_t bytes) {
  for (;;) {
    auto block = job_->consumer->AllocateResponse(job_->claim.entry, piece, bytes);
    if (block.ok() || block.status().code() != StatusCode::kResourceExhausted) return block;
    MLOS_RETURN_IF_ERROR(segments_.NeedResponseSegment(*job_->channel, bytes));
  }
}

smi_code Execution::AllocateOutput(uint32_t index, smi_datatype datatype, uint32_t rank,
                                   const int64_t* shape, uint64_t byte_size, void** data,
                                   smi_error* error) {
  const ModelInfo& info = model_->info();
  const auto refuse = [&](smi_code code, const std::string& text) {
    SetError(error, text);
    return code;
  };
  if (answered_ || index >= info.outputs.size() || !Wanted(index)) {
    return refuse(SMI_FAILED_PRECONDITION,
                  fmt::format("{}: output {} cannot be allocated: it does not exist, was not asked "
                              "for, or the request was answered",
                              model_->label(), index));
  }
  const smi_code fits =
      CheckOutput(info.outputs[index], model_->label(), datatype, rank, shape, byte_size, error);
  if (fits != SMI_OK) return fits;
  // A second call replaces the first: the channel takes the earlier memory back.
  has_output_[index] = false;
  const auto block = Allocate(index + 1, std::max<uint64_t>(byte_size, 1));
  if (!block.ok()) {
    return refuse(static_cast<smi_code>(block.status().code()),
                  std::string(Message(block.status())));
  }
  std::byte* memory = block->memory.data();
  if (OwnOutputs()) {
    std::byte* const own = own_.Allocate(byte_size);
    if (own == nullptr) {
      return refuse(SMI_RESOURCE_EXHAUSTED, std::string(Message(NoOwnMemory(model_->label()))));
    }
    own_outputs_[index] = {own, memory};
    memory = own;
  }
  tensor::TensorDesc& desc = allocated_[index];
  desc.index = index;
  desc.datatype = datatype;
  desc.rank = rank;
  desc.segment = block->block.segment;
  desc.offset = block->block.offset;
  desc.bytes = byte_size;
  std::copy_n(shape, rank, desc.dims);
  has_output_[index] = true;
  *data = memory;
  return SMI_OK;
}

smi_code Execution::Respond(smi_error* error) {
  if (answered_) {
    SetError(error, "the request was answered already");
    return SMI_FAILED_PRECONDITION;
  }
  answer_.clear();
  for (uint32_t i = 0; i < allocated_.size(); ++i) {
    if (!Wanted(i)) continue;
    if (!has_output_[i]) {
      const std::string text = fmt::format("{}: the plugin answered without output \"{}\"",
                                           model_->label(), model_->info().outputs[i].name);
      Publish(StatusCode::kInternal, text);
      SetError(error, text);
      return SMI_FAILED_PRECONDITION;
    }
    answer_.push_back(allocated_[i]);
    if (OwnOutputs() && allocated_[i].bytes > 0) {
      std::memcpy(own_outputs_[i].to, own_outputs_[i].from, allocated_[i].bytes);
    }
  }
  Publish(StatusCode::kOk, {});
  return SMI_OK;
}

void Execution::FailFromPlugin(smi_code code, const char* text) {
  if (answered_) return;
  auto canonical = code > 0 && code <= 16 ? static_cast<StatusCode>(code) : StatusCode::kInternal;
  // A plugin gives up what is late as it does what was cancelled; whoever asks is told which.
  if (canonical == StatusCode::kCancelled && !job_->consumer->IsCancelled(job_->claim.entry) &&
      NowNanos() > job_->claim.deadline_ns) {
    canonical = StatusCode::kDeadlineExceeded;
  }
  const bool given = text != nullptr && text[0] != '\0';
  Publish(canonical, given ? text : "the plugin gave no reason");
}

bool Execution::IsCancelled() const {
  return job_->consumer->IsCancelled(job_->claim.entry) || NowNanos() > job_->claim.deadline_ns;
}

uint64_t Execution::batch() const {
  const bool batched = model_ != nullptr && model_->info().max_batch_size > 0;
  if (!batched || view_.inputs.empty() || view_.inputs[0].rank == 0) return 1;
  return static_cast<uint64_t>(view_.inputs[0].dims[0]);
}

void Execution::Publish(StatusCode code, std::string_view text) {
  answered_ = true;
  code_ = code;
  text = text.substr(0, tensor::kMaxTextBytes);
  const auto outputs = code == StatusCode::kOk ? std::span<const tensor::TensorDesc>(answer_)
                                               : std::span<const tensor::TensorDesc>();
  const auto count = static_cast<uint32_t>(outputs.size());
  const uint64_t bytes = tensor::ResponseBlockBytes(count, static_cast<uint32_t>(text.size()));
  auto head = Allocate(0, bytes);
  channel::BlockRef block;  // left empty, it reads as a broken answer: an error, not silence
  if (head.ok()) {
    tensor::WriteResponse(code, outputs, text, head->memory.first(bytes));
    block = head->block;
    block.length = bytes;
  } else if (!job_->channel->terms) {  // an application that gives none knows it
    std::fprintf(stderr, "no memory for an answer: %.*s\n",
                 static_cast<int>(Message(head.status()).size()), Message(head.status()).data());
  }
  const uint64_t ended_ns = NowNanos();
  job_->consumer->Complete(job_->claim, block, {job_->claim.claimed_ns, started_ns_, ended_ns},
                           ring_);
  publish_ns_ = NowNanos() - ended_ns;
}

}  // namespace mlos::plugin_host
