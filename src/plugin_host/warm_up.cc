// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/warm_up.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "base/clock.h"
#include "base/name.h"
#include "plugin_host/artefact.h"
#include "plugin_host/request_port.h"

namespace mlos::plugin_host {
namespace {

using hostlink::WarmUpInput;
using hostlink::WarmUpSample;
using tensor::Datatype;

constexpr uint64_t kMaxTensorBytes = uint64_t{1} << 30;
constexpr uint64_t kSampleNanos = 120 * kNanosPerSecond;
// All of a model's: well below what the core lets a load take.
constexpr uint64_t kAllSamplesNanos = 300 * kNanosPerSecond;
constexpr uint32_t kWarmUpSlot = 65535;
constexpr size_t kAlignment = 64;
constexpr uint32_t kRandomText = 8;  // bytes of a made-up string

// Memory as a plugin is promised it.
class Block {
 public:
  bool Allocate(uint64_t bytes) {
    const uint64_t whole =
        (std::max<uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, whole)));
    bytes_ = bytes;
    return data_ != nullptr;
  }
  std::byte* data() const { return data_.get(); }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  uint64_t bytes_ = 0;
};

// Numbers that models can take: below 1 where they have fractions.
class Dice {
 public:
  void Fill(Datatype datatype, std::byte* to, uint64_t bytes) {
    switch (datatype) {
      case Datatype::kBool:
        return Each<uint8_t>(to, bytes, [&] { return static_cast<uint8_t>(engine_() & 1); });
      case Datatype::kFp32:
        return Each<float>(to, bytes, [&] { return Fraction(); });
      case Datatype::kFp64:
        return Each<double>(to, bytes, [&] { return static_cast<double>(Fraction()); });
      case Datatype::kFp16:  // from 0.5 to 1: one exponent, any mantissa
        return Each<uint16_t>(to, bytes,
                              [&] { return static_cast<uint16_t>(0x3800 | (engine_() & 0x3ff)); });
      case Datatype::kBf16:
        return Each<uint16_t>(to, bytes,
                              [&] { return static_cast<uint16_t>(0x3f00 | (engine_() & 0x7f)); });
      default:
        return Each<uint8_t>(to, bytes, [&] { return static_cast<uint8_t>(engine_()); });
    }
  }
  void FillTexts(std::byte* to, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      std::memcpy(to, &kRandomText, sizeof kRandomText);
      to += sizeof kRandomText;
      for (uint32_t c = 0; c < kRandomText; ++c) *to++ = std::byte('a' + engine_() % 26);
    }
  }

 private:
  float Fraction() { return static_cast<float>(engine_() >> 40) * 0x1p-24F; }
  template <typename T, typename Make>
  void Each(std::byte* to, uint64_t bytes, Make make) {
    for (uint64_t at = 0; at + sizeof(T) <= bytes; at += sizeof(T)) {
      const T value = make();
      std::memcpy(to + at, &value, sizeof value);
    }
  }
  std::mt19937_64 engine_{20'240'601};  // the same each time: what fails fails again
};

Status ReadWhole(const OwnedFd& file, Block* block) {
  struct stat st;
  if (fstat(file.get(), &st) != 0) return ErrnoStatus("the file of its data");
  const auto bytes = static_cast<uint64_t>(st.st_size);
  if (bytes > kMaxTensorBytes || !block->Allocate(bytes)) {
    return InvalidArgument(fmt::format("the file of its data has {} bytes, too many", bytes));
  }
  for (uint64_t at = 0; at < bytes;) {
    const ssize_t n = pread(file.get(), block->data() + at, bytes - at, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return InvalidArgument("the file of its data was cut short while it was read");
    at += static_cast<uint64_t>(n);
  }
  return OkStatus();
}

// One sample as a request; its outputs are thrown away.
class Run final : public RequestPort {
 public:
  explicit Run(const Model& model) : model_(model) { outputs_.resize(model.info().outputs.size()); }

  Status Prepare(const WarmUpSample& sample, const std::vector<OwnedFd>& files) {
    for (const WarmUpInput& input : sample.inputs) {
      MLOS_RETURN_IF_ERROR(
          Annotate(AddInput(input, files), fmt::format("input {}", Quoted(input.name))));
    }
    std::sort(inputs_.begin(), inputs_.end(),
              [](const smi_tensor& a, const smi_tensor& b) { return a.index < b.index; });
    size_t given = 0;
    for (uint32_t i = 0; i < model_.info().inputs.size(); ++i) {
      const size_t before = given;
      while (given < inputs_.size() && inputs_[given].index == i) ++given;
      const TensorInfo& declared = model_.info().inputs[i];
      if (given - before > 1) return InvalidArgument(Quoted(declared.name) + " is given twice");
      if (given == before && !declared.optional) {
        return InvalidArgument("it lacks the input " + Quoted(declared.name));
      }
    }
    return OkStatus();
  }

  Status Execute(uint64_t end_ns) {
    smi_request request{};
    request.struct_size = sizeof request;
    request.slot = kWarmUpSlot;
    request.input_count = static_cast<uint32_t>(inputs_.size());
    request.inputs = inputs_.data();
    const uint64_t now = NowNanos();
    if (now >= end_ns) {
      return MakeStatus(StatusCode::kDeadlineExceeded,
                        fmt::format("all of its samples took more than {} s",
                                    kAllSamplesNanos / kNanosPerSecond));
    }
    deadline_ns_ = request.deadline_ns = std::min(now + kSampleNanos, end_ns);
    request.host_data = static_cast<RequestPort*>(this);
    answered_ = false;
    status_ = OkStatus();
    const smi_request* requests[] = {&request};
    char text[1024] = {};
    smi_error error{sizeof error, sizeof text, text};
    const smi_code code = model_.Run(requests, 1, &error);
    text[sizeof text - 1] = '\0';
    if (!answered_ && code != SMI_OK) FailFromPlugin(code, text);
    if (!answered_) return Internal("the plugin returned without answering");
    return status_;
  }

  smi_code AllocateOutput(uint32_t index, smi_datatype datatype, uint32_t rank,
                          const int64_t* shape, uint64_t byte_size, void** data,
                          smi_error* error) override {
    if (answered_ || index >= outputs_.size()) {
      SetError(error, fmt::format("output {} does not exist, or the request was answered", index));
      return SMI_FAILED_PRECONDITION;
    }
    const smi_code code = CheckOutput(model_.info().outputs[index], model_.label(), datatype, rank,
                                      shape, byte_size, error);
    if (code != SMI_OK) return code;
    if (byte_size > kMaxTensorBytes || !outputs_[index].Allocate(byte_size)) {
      SetError(error, fmt::format("an output of {} bytes is too large to warm up with", byte_size));
      return SMI_RESOURCE_EXHAUSTED;
    }
    *data = outputs_[index].data();
    return SMI_OK;
  }

  smi_code Respond(smi_error* error) override {
    if (answered_) {
      SetError(error, "the request was answered already");
      return SMI_FAILED_PRECONDITION;
    }
    answered_ = true;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i].data() != nullptr) continue;
      status_ =
          Internal("the plugin answered without output " + Quoted(model_.info().outputs[i].name));
    }
    return SMI_OK;
  }

  void FailFromPlugin(smi_code code, const char* text) override {
    if (answered_) return;
    answered_ = true;
    const bool given = text != nullptr && text[0] != '\0';
    status_ =
        MakeStatus(code > 0 && code <= 16 ? static_cast<StatusCode>(code) : StatusCode::kInternal,
                   given ? std::string_view(text) : "the plugin gave no reason");
  }

  bool IsCancelled() const override { return NowNanos() > deadline_ns_; }

 private:
  Status AddInput(const WarmUpInput& given, const std::vector<OwnedFd>& files) {
    const auto& declared = model_.info().inputs;
    const auto it = std::find_if(declared.begin(), declared.end(),
                                 [&](const TensorInfo& t) { return t.name == given.name; });
    if (it == declared.end()) return InvalidArgument("the model has no such input");
    const Datatype datatype = tensor::ParseDatatype(given.datatype);
    if (datatype != it->datatype || !tensor::Matches(it->shape, given.shape)) {
      return InvalidArgument(fmt::format(
          "the model's is {} {}, the sample's {} {}", tensor::DatatypeName(it->datatype),
          tensor::ShapeText(it->shape), given.datatype, tensor::ShapeText(given.shape)));
    }
    Block block;
    MLOS_RETURN_IF_ERROR(MakeData(given, datatype, files, &block));
    smi_tensor tensor{};
    tensor.struct_size = sizeof tensor;
    tensor.index = static_cast<uint32_t>(it - declared.begin());
    tensor.datatype = static_cast<smi_datatype>(datatype);
    tensor.rank = static_cast<uint32_t>(given.shape.size());
    tensor.shape = given.shape.data();
    tensor.data = block.data();
    tensor.byte_size = block.bytes();
    inputs_.push_back(tensor);
    data_.push_back(std::move(block));
    return OkStatus();
  }

  Status MakeData(const WarmUpInput& given, Datatype datatype, const std::vector<OwnedFd>& files,
                  Block* block) {
    const bool strings = datatype == Datatype::kBytes;
    uint64_t count = 0;
    if (!tensor::ElementCount(given.shape, &count) || count > kMaxTensorBytes) {
      return InvalidArgument("its shape is too large, or not fixed");
    }
    if (given.data == WarmUpInput::Data::kFile) {
      MLOS_RETURN_IF_ERROR(ReadWhole(files[given.file], block));
      if (strings) return tensor::CheckBytesTensor({block->data(), block->bytes()}, count);
      if (block->bytes() == count * tensor::ElementSize(datatype)) return OkStatus();
      return InvalidArgument(fmt::format("the file of its data has {} bytes, the shape needs {}",
                                         block->bytes(), count * tensor::ElementSize(datatype)));
    }
    const bool random = given.data == WarmUpInput::Data::kRandom;
    const uint64_t each =
        strings ? sizeof(uint32_t) + (random ? kRandomText : 0) : tensor::ElementSize(datatype);
    if (count * each > kMaxTensorBytes || !block->Allocate(count * each)) {
      return InvalidArgument(fmt::format("{} bytes are too many to warm up with", count * each));
    }
    if (!random) {
      std::memset(block->data(), 0, block->bytes());
    } else if (strings) {
      dice_.FillTexts(block->data(), count);
    } else {
      dice_.Fill(datatype, block->data(), block->bytes());
    }
    return OkStatus();
  }

  const Model& model_;
  Dice dice_;
  std::vector<Block> data_;
  std::vector<smi_tensor> inputs_;
  std::vector<Block> outputs_;
  uint64_t deadline_ns_ = 0;
  bool answered_ = false;
  Status status_;
};

Status RunAll(const Model& model, const std::vector<WarmUpSample>& samples,
              const std::vector<OwnedFd>& files) {
  const uint64_t end_ns = NowNanos() + kAllSamplesNanos;
  for (const WarmUpSample& sample : samples) {
    Run run(model);
    Status status = run.Prepare(sample, files);
    for (uint32_t i = 0; status.ok() && i < sample.count; ++i) status = run.Execute(end_ns);
    if (!status.ok()) {
      return MakeStatus(status.code(),
                        fmt::format("{}: its warm-up sample {} failed: {}", model.label(),
                                    Quoted(sample.name), Message(status)));
    }
  }
  return OkStatus();
}

}  // namespace

Status RunSamples(const Model& model, const std::vector<WarmUpSample>& samples,
                  const std::vector<OwnedFd>& files) {
  if (samples.empty()) return OkStatus();
  Status status;
  std::thread([&] { status = RunAll(model, samples, files); }).join();
  return status;
}

}  // namespace mlos::plugin_host
